import { dtypes } from '../dtype.ts';
import { partsOf } from './epilogue.ts';
import { mostAliveBytes } from './memory.ts';
import type { Constant, Kernel, Plan, Program, View } from './plan.ts';
import { workOf } from './work.ts';

export interface PrintOptions {
  /** Whether each fused program is written out below its kernel. */
  readonly programs?: boolean;
  /** Whether the WGSL that a GPU runs follows. */
  readonly wgsl?: boolean;
  /** Whether each kernel's time stands beside it, as measured by a backend that was asked to: `useBackend('webgpu', { profile: true })`. */
  readonly times?: boolean;
}

/** The elementwise program of a kernel, if it has one. */
function programOf(kernel: Kernel): Program | null {
  const last = partsOf(kernel).at(-1)!;
  return 'program' in last ? last.program : null;
}

/** What a backend made of a plan, for its listing. */
export interface Measured {
  /** The WGSL of each dispatch. */
  readonly wgsl?: readonly string[] | undefined;
  /** Milliseconds of each kernel. */
  readonly times?: readonly number[] | undefined;
}

/** The plan as a listing: buffers that live outside it, then a line for each kernel with its shapes, bytes and floating-point operations, and its time. */
export function printPlan(
  plan: Plan,
  { programs = false }: Pick<PrintOptions, 'programs'> = {},
  { wgsl = [], times }: Measured = {},
): string {
  const name = (buffer: number): string => plan.buffers[buffer]!.name || `%${buffer}`;
  const operand = ({ buffer, dtype, shape }: View): string => `${name(buffer)}:${dtype}[${shape.join(',')}]`;
  const rows = plan.kernels.map((kernel, i) => {
    const { flops, bytes } = workOf(kernel);
    return [
      `${i}`,
      ...(times ? [`${times[i]!.toFixed(3)} ms`] : []),
      titleOf(kernel),
      kernel.outputs.map(operand).join(' '),
      `← ${kernel.inputs.map(operand).join(' ') || 'nothing'}`,
      count(flops, 'FLOP'),
      count(bytes, 'B'),
    ];
  });
  const lines = aligned(rows);
  const listing = plan.kernels.flatMap((kernel, i) => {
    const program = programs ? programOf(kernel) : null;
    return [lines[i]!, ...(program ? programLines(program) : [])];
  });
  const total = plan.kernels
    .map(workOf)
    .reduce((sum, work) => ({ flops: sum.flops + work.flops, bytes: sum.bytes + work.bytes }), { flops: 0, bytes: 0 });
  const held = (buffers: readonly number[]): string =>
    count(
      buffers.reduce((sum, buffer) => sum + plan.buffers[buffer]!.length * dtypes[plan.buffers[buffer]!.dtype].bytes, 0),
      'B',
    );
  return [
    `plan: ${plan.kernels.length} kernels, ${count(total.flops, 'FLOP')}, ${count(total.bytes, 'B')} moved; fusion removed ${plan.fused} elementwise kernels`,
    `memory: arena ${count(plan.arenaBytes, 'B')}, of which at most ${count(mostAliveBytes(plan), 'B')} alive at once; ${plan.inputs.length} inputs ${held(plan.inputs)}, ${plan.constants.length} constants ${held(plan.constants)}, ${plan.slots.length} slots ${held(plan.slots)}, ${plan.outputs.length} outputs ${held(plan.outputs)}`,
    ...(times ? [`time: ${times.reduce((sum, time) => sum + time, 0).toFixed(3)} ms a run, the medians of its kernels added`] : []),
    ...listing,
    ...wgsl,
  ].join('\n');
}

function titleOf(kernel: Kernel): string {
  const program = programOf(kernel);
  return `${nameOf(kernel)} ${program ? operations(program) : ''}`.trimEnd();
}

function nameOf(kernel: Kernel): string {
  switch (kernel.kind) {
    case 'reduce':
      return `reduce ${[...new Set(kernel.reductions)].join('+')}`;
    case 'scan':
      return `scan ${kernel.fn}`;
    case 'conv':
      return `conv ${kernel.direction}`;
    case 'pool':
      return `pool ${kernel.mode}`;
    case 'map':
    case 'matmul':
    case 'gather':
    case 'scatterAdd':
    case 'scatter':
    case 'gridSample':
    case 'cholesky':
    case 'triangularSolve':
    case 'eigh':
    case 'argsort':
    case 'copy':
    case 'pad':
    case 'concat':
      return kernel.kind;
  }
}

/** The ops of a program, each once with how often it occurs, the most frequent first. */
function operations({ instructions }: Program): string {
  const counts = new Map<string, number>();
  for (const { op } of instructions) counts.set(op, (counts.get(op) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]).map(([op, times]) => (times > 1 ? `${op}×${times}` : op));
  const shown = sorted.slice(0, 4).join(' ');
  return sorted.length > 4 ? `${shown} …` : shown;
}

function programLines({ inputs, constants, instructions, results }: Program): string[] {
  const value = (number: number): string => {
    if (number < inputs) return `in${number}`;
    if (number < inputs + constants.length) return constantText(constants[number - inputs]!);
    return `v${number - inputs - constants.length}`;
  };
  return [
    ...instructions.map(({ op, operands, register }, i) => `      v${i} (r${register}) = ${op}(${operands.map(value).join(', ')})`),
    `      → ${results.map(value).join(', ')}`,
  ];
}

/** As a user would have written it: with the fewest digits that give the same number. */
function constantText({ value, lane }: Constant): string {
  if (Object.is(value, -0)) return '-0';
  const shorter = [6, 7, 8, 9].map((digits) => Number(value.toPrecision(digits)));
  return `${(lane === 'f32' && shorter.find((text) => Math.fround(text) === value)) || value}`;
}

function count(value: number, unit: string): string {
  const scales = ['', 'K', 'M', 'G', 'T'];
  let scaled = value;
  let scale = 0;
  while (scaled >= 1000 && scale < scales.length - 1) {
    scaled /= 1000;
    scale++;
  }
  return `${scale === 0 ? scaled : scaled.toPrecision(3)} ${scales[scale]}${unit}`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((width, row) => Math.min(48, Math.max(width, row[column]!.length)), 0));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
