import { type DType, dtypes, isFloat } from '../dtype.ts';
import { type ScalarTyping, scalarRow } from '../scalar.ts';
import { type Shape, sameShape, show, sizeOf } from '../shape.ts';
import { type Lane, valueLanes } from './lanes.ts';
import { isContiguous } from './layout.ts';
import type { MovingKernel } from './moves.ts';
import type { ConvKernel, Instruction, Kernel, KernelKind, KernelOf, PoolKernel, Program, View } from './plan.ts';

/** What is wrong with a kernel's shapes, types, parameters and program. */
export function kernelFaults<K extends KernelKind>(kernel: KernelOf<K>): string[] {
  return [...rules[kernel.kind](kernel)];
}

/**
 * `rows → rows`, where a row is an element type and extents. A letter stands for the same thing wherever it appears in a
 * signature: types `T` (any) and `F` (a float), extents by name.
 */
type Signature = `${string}→${string}`;

const convSignatures: { readonly [D in ConvKernel['direction']]: Signature } = {
  forward: 'F N C H W, F O G U V → F N O P Q',
  input: 'F N O P Q, F O G U V → F N C H W',
  weight: 'F N C H W, F N O P Q → F O G U V',
};

const poolSignatures: { readonly [M in PoolKernel['mode']]: Signature } = {
  max: 'F N C H W → F N C P Q',
  argmax: 'F N C H W → i32 N C P Q',
  sum: 'F N C H W → F N C P Q',
  sumTranspose: 'F N C P Q → F N C H W',
};

/** Whether the elements of a shape are a number that arithmetic is exact on. */
export function isCountable(shape: Shape): boolean {
  return shape.includes(0) || Number.isSafeInteger(sizeOf(shape));
}

const rules: { readonly [K in KernelKind]: (kernel: KernelOf<K>) => Generator<string> } = {
  *map(kernel) {
    if (!isCountable(kernel.shape)) yield `more elements than can be counted: ${show(kernel.shape)}`;
    if (kernel.outputs.length === 0) yield 'it has no outputs';
    for (const view of [...kernel.inputs, ...kernel.outputs]) {
      if (!sameShape(view.shape, kernel.shape)) yield `a view has shape ${show(view.shape)}, not the kernel's ${show(kernel.shape)}`;
    }
    yield* programFaults(kernel.program, kernel, (lane) => storable[lane]);
  },
  *reduce(kernel) {
    const { shape, reduced, reductions, program } = kernel;
    if (!isCountable(shape)) yield `more elements than can be counted: ${show(shape)}`;
    if (reductions.length === 0) yield 'it has no outputs';
    if (reduced > shape.length) yield `folds ${reduced} axes of ${show(shape)}`;
    const kept = shape.slice(0, shape.length - reduced);
    for (const view of kernel.inputs) if (!sameShape(view.shape, shape)) yield `an input has shape ${show(view.shape)}, not ${show(shape)}`;
    for (const view of kernel.outputs) if (!sameShape(view.shape, kept)) yield `an output has shape ${show(view.shape)}, not ${show(kept)}`;
    if (reductions.length !== kernel.outputs.length) yield `${reductions.length} reductions for ${kernel.outputs.length} outputs`;
    yield* programFaults(program, kernel, (lane, k) => (reductions[k]?.startsWith('arg') ? ['i32'] : storable[lane]));
  },
  *scan(kernel) {
    yield* signatureFaults(kernel, 'T A N B → T A N B');
    if (kernel.inputs[0]?.dtype === 'u8') yield 'it takes bytes, and they are scanned as i32';
  },
  *matmul(kernel) {
    yield* signatureFaults(kernel, 'F B M K, F B K N → F B M N');
  },
  *conv(kernel) {
    const { stride, padding, dilation, groups } = kernel;
    const extents = yield* signatureFaults(kernel, convSignatures[kernel.direction]);
    const { C = 0, O = 0, G = 0, H = 0, W = 0, U = 0, V = 0, P = 0, Q = 0 } = extents;
    if (C !== G * groups || O % groups !== 0) yield `${groups} groups do not divide ${C} channels into ${G}, and ${O} filters`;
    if (U < 1 || V < 1) yield `filters of ${U} × ${V} pixels; there must be one at least`;
    yield* windowFaults([H, W], [P, Q], [(U - 1) * dilation[0] + 1, (V - 1) * dilation[1] + 1], stride, padding);
  },
  *pool(kernel) {
    const { H = 0, W = 0, P = 0, Q = 0 } = yield* signatureFaults(kernel, poolSignatures[kernel.mode]);
    yield* windowFaults([H, W], [P, Q], kernel.kernel, kernel.stride, kernel.padding);
  },
  *gather(kernel) {
    yield* signatureFaults(kernel, 'T A N B, i32 A M B → T A M B');
  },
  *scatterAdd(kernel) {
    yield* signatureFaults(kernel, 'i32 A M B, T A M B → T A N B');
  },
  *scatter(kernel) {
    yield* signatureFaults(kernel, 'i32 A M B, T A M B → T A N B');
  },
  *gridSample(kernel) {
    yield* signatureFaults(kernel, 'F N C H W, F N P Q 2 → F N C P Q');
  },
  *cholesky(kernel) {
    yield* signatureFaults(kernel, 'F B D D → F B D D');
  },
  *triangularSolve(kernel) {
    yield* signatureFaults(kernel, 'F B D D, F B D M → F B D M');
  },
  *eigh(kernel) {
    const { D = 0, E = 0 } = yield* signatureFaults(kernel, 'F B D D → F B E D');
    if (E !== D + 1) yield `the output has ${E} rows; values and vectors are ${D + 1}`;
  },
  *argsort(kernel) {
    yield* signatureFaults(kernel, 'T R N → i32 R N');
  },
  *copy(kernel) {
    yield* movingFaults(kernel, 1, (input, output) => sameShape(input, output));
  },
  *pad(kernel) {
    const { before, outputs } = kernel;
    yield* movingFaults(
      kernel,
      1,
      (input, output) => before.length === output.length && output.every((extent, axis) => before[axis]! + input[axis]! <= extent),
    );
    for (const output of outputs)
      if (!isContiguous({ ...output, offset: 0 })) yield `its output is not contiguous: strides [${output.strides}]`;
  },
  *concat(kernel) {
    const { axis, inputs, outputs } = kernel;
    yield* movingFaults(kernel, inputs.length, (input, output) =>
      output.every((extent, other) => other === axis || input[other] === extent),
    );
    const end = inputs.reduce((sum, { shape }) => sum + (shape[axis] ?? NaN), 0);
    const extent = outputs[0]?.shape[axis];
    if (end !== extent) yield `its inputs end at ${end} along axis ${axis}, its output at ${extent}`;
  },
};

/** One output, of the type and rank of so many inputs, into which each fits. */
function* movingFaults(
  { inputs, outputs }: MovingKernel,
  count: number,
  fits: (input: Shape, output: Shape) => boolean,
): Generator<string> {
  const [output] = outputs;
  if (outputs.length !== 1 || !output || inputs.length !== count) yield `${inputs.length} inputs and ${outputs.length} outputs`;
  else
    for (const [k, { dtype, shape }] of inputs.entries())
      if (dtype !== output.dtype || shape.length !== output.shape.length || !fits(shape, output.shape))
        yield `input ${k}, ${dtype} ${show(shape)}, does not fit output ${output.dtype} ${show(output.shape)}`;
}

/** Checks views against a signature, and gives the extents that its letters stand for. */
function* signatureFaults(kernel: Kernel, signature: Signature): Generator<string, { readonly [name: string]: number | undefined }> {
  const extents: Record<string, number> = {};
  const types: Record<string, DType> = {};
  const views = [kernel.inputs, kernel.outputs];
  for (const [side, rows] of signature.split('→').entries()) {
    const expected = rows.split(',').map((row) => row.trim().split(' '));
    const given = views[side]!;
    if (given.length !== expected.length) yield `${given.length} ${side ? 'outputs' : 'inputs'} for ${signature}`;
    for (const [k, [type = '', ...axes]] of expected.entries()) {
      const view = given[k];
      if (view === undefined) continue;
      const fits =
        view.shape.length === axes.length &&
        view.dtype === (/[TF]/.test(type) ? meaning(types, type, view.dtype) : type) &&
        (type !== 'F' || isFloat(view.dtype)) &&
        axes.every((axis, at) => view.shape[at] === (/\d/.test(axis) ? Number(axis) : meaning(extents, axis, view.shape[at]!)));
      if (!fits) yield `${side ? 'output' : 'input'} ${k} is ${view.dtype} ${show(view.shape)}, which does not fit ${signature}`;
    }
  }
  return extents;
}

/** What a letter stands for: what it stood for before, or else `value` from now on. */
function meaning<T>(meanings: Record<string, T>, letter: string, value: T): T {
  const known = meanings[letter] ?? value;
  meanings[letter] = known;
  return known;
}

/** Windows of `reach` at `stride` over a padded image give `⌊(extent + 2·padding − reach)/stride⌋ + 1` outputs, which is one at least. */
function* windowFaults(image: Pair, out: Pair, reach: Pair, stride: Pair, padding: Pair): Generator<string> {
  for (const axis of [0, 1] as const) {
    const expected = Math.max(1, Math.floor((image[axis] + 2 * padding[axis] - reach[axis]) / stride[axis]) + 1);
    if (out[axis] !== expected || image[axis] + 2 * padding[axis] < reach[axis])
      yield `windows of ${reach[axis]} at stride ${stride[axis]} over ${image[axis]} pixels padded by ${padding[axis]} must fit, and give ${expected} outputs, not ${out[axis]}`;
  }
}

type Pair = readonly [number, number];

/** The element types that a value of a lane can be stored in. */
const storable: { readonly [L in Lane]: readonly DType[] } = { f32: ['f32'], f64: ['f64'], i32: ['i32', 'u8'] };

function* programFaults(
  program: Program,
  { inputs, outputs }: Kernel,
  types: (lane: Lane, k: number) => readonly DType[],
): Generator<string> {
  const { constants, instructions, registers, results } = program;
  if (program.inputs !== inputs.length) yield `the program reads ${program.inputs} inputs of ${inputs.length}`;
  if (results.length !== outputs.length) yield `the program has ${results.length} results for ${outputs.length} outputs`;
  const lanes = valueLanes(
    program,
    inputs.map(({ dtype }: View) => dtype),
  );
  const first = program.inputs + constants.length;
  if (registers > instructions.length) yield `the program has ${registers} registers for ${instructions.length} instructions`;
  for (const [k, { value, lane }] of constants.entries())
    if (!dtypes[lane].holds(value)) yield `constant ${k} is ${value}, which is not ${lane}`;
  // Which value each register holds by now.
  const holds = new Map<number, number>();
  const unreadable = (value: number) => value >= first && holds.get(instructions[value - first]?.register ?? -1) !== value;

  for (const [k, instruction] of instructions.entries()) {
    const { op, lane, operands, register } = instruction;
    const name = `instruction ${k} (${op} ${lane} ${operands.join(' ')})`;
    if (operands.length !== scalarRow(op).arity) yield `${name} has ${operands.length} operands`;
    for (const [at, operand] of operands.entries()) {
      if (operand >= first + k) yield `${name} uses value ${operand}, which is not defined yet`;
      else if (unreadable(operand)) yield `${name} uses value ${operand}, whose register holds another by now`;
      else if (!accepts(instruction, at, lanes[operand]!)) yield `${name} uses value ${operand}, which is ${lanes[operand]}`;
    }
    if (!laneFits[scalarRow(op).typing](lane)) yield `${name} cannot compute in ${lane}`;
    if (register >= registers) yield `${name} writes register ${register} of ${registers}`;
    holds.set(register, first + k);
  }
  for (const [k, result] of results.entries()) {
    const lane = lanes[result];
    const dtype = outputs[k]?.dtype;
    if (lane === undefined) yield `result ${k} is value ${result}, which does not exist`;
    else if (unreadable(result)) yield `result ${k} is value ${result}, whose register holds another at the end`;
    else if (dtype && !types(lane, k).includes(dtype)) yield `output ${k} is ${dtype}, its value ${lane}`;
  }
}

const float = (lane: Lane) => lane !== 'i32';

const laneFits: { readonly [T in ScalarTyping]: (lane: Lane) => boolean } = {
  same: () => true,
  compare: () => true,
  select: () => true,
  float,
  toFloat: float,
  toInt: float,
  bits: (lane) => lane === 'i32',
};

function accepts({ op, lane }: Instruction, at: number, given: Lane): boolean {
  const { typing } = scalarRow(op);
  return typing === 'toFloat' || given === (typing === 'select' && at === 0 ? 'i32' : lane);
}
