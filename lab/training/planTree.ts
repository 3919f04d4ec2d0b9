import type { Kernel, Plan } from 'tensegrity';
import type { PlanKernel, PlanPhase, PlanTree } from './protocol.ts';

const scales: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** '1.85 GFLOP' → 1.85e9. */
function amount(text: string): number {
  const [, number = '0', scale = ''] = /^([\d.e+]+) ([KMGT]?)/.exec(text) ?? [];
  return Number(number) * (scales[scale] ?? 1);
}

/** The line of a kernel in a listing: number, time if it was measured, what it does, what it writes, ← what it reads, operations, bytes. */
function kernelIn(line: string): PlanKernel {
  const cells = line.trim().split(/\s{2,}/);
  const milliseconds = / ms$/.test(cells[1] ?? '') ? Number.parseFloat(cells.splice(1, 1)[0]!) : null;
  const [index, title, writes, reads, flops, bytes] = cells as [string, string, string, string, string, string];
  return {
    index: Number(index),
    title,
    writes: writes.split(' '),
    reads: reads === '← nothing' ? [] : reads.slice(2).split(' '),
    flops: amount(flops),
    bytes: amount(bytes),
    milliseconds,
  };
}

/** Of what a kernel reads, the numbers of those that last wrote it; and whether it reads or writes slots of the optimiser, or parameters. */
function dependencies({ kernels }: Plan): readonly ReadonlySet<number>[] {
  const writer = new Map<number, number[]>();
  return kernels.map(({ inputs, outputs }, i) => {
    const from = new Set(inputs.flatMap(({ buffer }) => writer.get(buffer) ?? []));
    for (const { buffer } of outputs) {
      const before = inputs.some((input) => input.buffer === buffer) ? (writer.get(buffer) ?? []) : [];
      writer.set(buffer, [...before, i]);
    }
    return from;
  });
}

const isLearned = (name: string): boolean =>
  /^(encoder|head|predictor|second_encoder|second_head|teacher_encoder|teacher_head)\./.test(name);
const isUpdate = (name: string): boolean => /^(probe\.)?optimizer\./.test(name);

/**
 * Which phase each kernel is of: `views` depend on nothing that is learned; `update` writes the optimiser's slots; `forward` is what the loss is made of; the rest leads
 * from the loss to the updates.
 */
function phasesOf(plan: Plan): readonly PlanPhase['name'][] {
  const { kernels, buffers, outputs } = plan;
  const from = dependencies(plan);
  const names = (views: Kernel['inputs']): string[] =>
    views.map(({ buffer }) => (buffers[buffer]!.kind === 'slot' ? buffers[buffer]!.name : ''));
  const learned: boolean[] = [];
  kernels.forEach(({ inputs }, i) => {
    learned.push(names(inputs).some(isLearned) || [...from[i]!].some((j) => learned[j]));
  });
  const ofLoss = new Set<number>();
  const given = new Set(outputs);
  for (let i = kernels.length - 1; i >= 0; i--) {
    if (!ofLoss.has(i) && !kernels[i]!.outputs.some(({ buffer }) => given.has(buffer))) continue;
    ofLoss.add(i);
    for (const j of from[i]!) ofLoss.add(j);
  }
  return kernels.map(({ outputs: written }, i) => {
    if (names(written).some(isUpdate)) return 'update';
    if (!learned[i]) return 'views';
    return ofLoss.has(i) ? 'forward' : 'backward';
  });
}

/** The layer that a kernel is about: the first slot that it reads or writes, without the last parts of its name. */
function groupOf({ reads, writes, title }: PlanKernel, phase: PlanPhase['name'], before: string): string {
  const slots = [...writes, ...reads]
    .map((operand) => operand.replace(/:.*$/, ''))
    .filter((name) => isLearned(name) || isUpdate(name) || /^probe\./.test(name));
  if (phase === 'update') return slots.find((name) => !isUpdate(name))?.replace(/\.[^.]+$/, '') ?? 'optimizer';
  const [slot] = slots;
  if (slot) return slot.replace(/\.(weight|bias|running_mean|running_var)$/, '').replace(/^((?:second_|teacher_)?encoder\.\d+)\..*$/, '$1');
  return before || title.split(' ')[0]!;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const timeOf = (parts: readonly { readonly milliseconds: number | null }[]): number | null =>
  parts.some(({ milliseconds }) => milliseconds === null) ? null : sum(parts.map(({ milliseconds }) => milliseconds!));

/**
 * A plan and its listing as a tree. Kernels of one group stand in the order in which they run.
 * @param times of the kernels, where the listing has none.
 */
export function planTree(plan: Plan, listing: string, times: readonly number[] | null = null): PlanTree {
  const kernels = listing
    .split('\n')
    .filter((line) => /^\s*\d+ {2}/.test(line))
    .map(kernelIn)
    .map((kernel, i) => ({ ...kernel, milliseconds: kernel.milliseconds ?? times?.[i] ?? null }));
  const phases = phasesOf(plan);
  const names = ['views', 'forward', 'backward', 'update'] as const;
  const tree = names.map((name): PlanPhase => {
    const groups = new Map<string, PlanKernel[]>();
    let last = '';
    for (const [i, kernel] of kernels.entries()) {
      if (phases[i] !== name) continue;
      last = groupOf(kernel, name, last);
      groups.set(last, [...(groups.get(last) ?? []), kernel]);
    }
    const all = [...groups].map(([group, own]) => ({
      name: group,
      milliseconds: timeOf(own),
      flops: sum(own.map(({ flops }) => flops)),
      kernels: own,
    }));
    return { name, milliseconds: timeOf(all), flops: sum(all.map(({ flops }) => flops)), groups: all };
  });
  return {
    phases: tree,
    kernels: kernels.length,
    flops: sum(kernels.map(({ flops }) => flops)),
    bytes: sum(kernels.map(({ bytes }) => bytes)),
    arenaBytes: plan.arenaBytes,
    fused: plan.fused,
    milliseconds: timeOf(tree),
    listing,
  };
}
