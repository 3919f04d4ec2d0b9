import { sizeOf } from '../../shape.ts';
import type { Runner } from './dense.ts';
import { evaluate } from './program.ts';

export const map: Runner<'map'> = ({ program, shape }, ...inputs) => evaluate(program, inputs, sizeOf(shape));
