import { append } from '../../compiler/collections.ts';
import { commonBindings, commonWorkgroupBytes } from './assemble.ts';
import type { Stage } from './emit.ts';
import type { Binding } from './shader.ts';

/** Stages that run in one dispatch, and the bindings that they have in common. */
export interface Group {
  readonly stages: readonly Stage[];
  readonly bindings: readonly Binding[];
}

/** What one dispatch may have. */
export interface Limits {
  readonly bindings: number;
  readonly workgroupBytes: number;
}

/** How far behind the next stage others are looked for that can join it. */
const WINDOW = 64;
/** Workgroups of a stage that does not mind what else its dispatch does. */
const FEW = 1024;
/** Workgroups of an update of a slot that can wait for its like: what it reads must be kept until then. */
const IDLE = 8192;

/**
 * Puts stages that do not wait for each other into one dispatch, as far as the limits reach: a GPU works on all of them at once, and
 * waits once instead of many times. Large stages join others of their kind only, since all threads of a dispatch get the registers that
 * the greediest needs. Small updates of slots, which nobody waits for, are put off until they fill a dispatch.
 * @param isSlot tells which buffers are slots.
 */
export function merge(stages: readonly Stage[], limits: Limits, isSlot: (buffer: number) => boolean): Group[] {
  const { waiting, users } = dependencies(stages);
  const left = new Set(stages.keys());
  const idle = stages.map(({ shader: { groups, writes } }) => groups <= IDLE && [...writes].every(isSlot));
  const ready = (i: number): boolean => waiting[i] === 0;
  const groups: Group[] = [];
  let [first, busy] = [0, 0];
  while (left.size > 0) {
    while (!left.has(first)) first++;
    while (busy < stages.length && (idle[busy] || !left.has(busy))) busy++;
    // What the next stage waits for may have been put off.
    const start = busy < stages.length && ready(busy) ? busy : first;
    let group: Group = grown({ stages: [], bindings: [] }, stages[start]!, { bindings: Infinity, workgroupBytes: Infinity })!;
    const members = [start];
    for (let i = start + 1; i < Math.min(start + WINDOW, stages.length); i++) {
      // What is idle waits for its like.
      if (!left.has(i) || !ready(i) || idle[i] !== idle[start] || !alike(stages[start]!, stages[i]!)) continue;
      const larger = grown(group, stages[i]!, limits);
      if (larger === null) continue;
      group = larger;
      members.push(i);
    }
    for (const i of members) {
      left.delete(i);
      for (const user of users[i]!) waiting[user]!--;
    }
    groups.push(group);
  }
  return groups;
}

function grown(group: Group, stage: Stage, { bindings: most, workgroupBytes }: Limits): Group | null {
  const stages = [...group.stages, stage];
  const shaders = stages.map(({ shader }) => shader);
  const bindings = commonBindings(shaders);
  return bindings !== null && bindings.length <= most && commonWorkgroupBytes(shaders) <= workgroupBytes ? { stages, bindings } : null;
}

function alike({ shader: a }: Stage, { shader: b }: Stage): boolean {
  return a.threads === b.threads && (a.name === b.name || (a.groups <= FEW && b.groups <= FEW));
}

/** For each stage, how many must run before it, and which wait for it: who writes what it reads, and who reads or writes what it writes. */
function dependencies(stages: readonly Stage[]): { waiting: number[]; users: number[][] } {
  const writers = new Map<number, number[]>();
  const readers = new Map<number, number[]>();
  // Who waits because of what was in a buffer before: one besides another waits for the same.
  const displaced = new Map<number, { readonly kernel: number; readonly waits: readonly number[] }>();
  const users: number[][] = stages.map(() => []);
  const waiting = stages.map(({ kernel, shader: { reads, writes, besides } }, i) => {
    const before = new Set([...reads].flatMap((buffer) => writers.get(buffer) ?? []));
    const joining = new Set([...writes].filter((buffer) => besides && displaced.get(buffer)?.kernel === kernel));
    for (const buffer of writes) {
      if (!joining.has(buffer)) displaced.set(buffer, { kernel, waits: [...(writers.get(buffer) ?? []), ...(readers.get(buffer) ?? [])] });
      for (const j of displaced.get(buffer)!.waits) before.add(j);
    }
    for (const buffer of reads) append(readers, buffer, i);
    for (const buffer of writes) {
      if (joining.has(buffer)) append(writers, buffer, i);
      else {
        writers.set(buffer, [i]);
        readers.delete(buffer);
      }
    }
    before.delete(i);
    for (const j of before) users[j]!.push(i);
    return before.size;
  });
  return { waiting, users };
}
