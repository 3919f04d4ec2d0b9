import { checkList, shown } from '../arguments.ts';
import { check } from '../errors.ts';
import { sameShape, show } from '../shape.ts';
import type { Tensor } from '../tensor.ts';
import { apply, type Rule } from './rule.ts';

export const stopGradientRule: Rule<'stopGradient'> = {
  op: 'stopGradient',
  infer: ([x]) => ({ shape: x!.shape, dtype: x!.dtype }),
  vjp: null,
};

/** `x`, with a gradient of zero. */
export function stopGradient(x: Tensor): Tensor {
  return apply(stopGradientRule, [x], {});
}

export const customGradientRule: Rule<'customGradient'> = {
  op: 'customGradient',
  infer: ([value]) => ({ shape: value!.shape, dtype: value!.dtype }),
  vjp: ({ g, attributes: { vjp } }) => [null, ...vjp(g)],
};

/**
 * `value`, with a derivative of your own: `vjp(g)` gives the cotangents of `inputs` (null for none).
 * @throws TensegrityError `shape` if a cotangent does not have its input's shape.
 */
export function customGradient(value: Tensor, inputs: readonly Tensor[], vjp: (g: Tensor) => readonly (Tensor | null)[]): Tensor {
  checkList('customGradient: the inputs', inputs);
  check(typeof vjp === 'function', 'argument', () => `customGradient: the derivative is a function, got ${shown(vjp)}`);
  const own = [...inputs];
  return apply(customGradientRule, [value, ...own], {
    vjp: (g) => {
      const cotangents = vjp(g);
      check(
        cotangents.length === own.length,
        'shape',
        () => `customGradient: ${own.length} inputs need as many cotangents, got ${cotangents.length}`,
      );
      cotangents.forEach((cotangent, i) => {
        check(
          cotangent === null || sameShape(cotangent.shape, own[i]!.shape),
          'shape',
          () => `customGradient: input ${i} has shape ${show(own[i]!.shape)}, its cotangent ${show(cotangent!.shape)}`,
        );
      });
      return cotangents;
    },
  });
}
