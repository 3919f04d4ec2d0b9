import { commonBindings } from './assemble.ts';
import type { Stage } from './emit.ts';
import type { Binding } from './shader.ts';

/** Stages that run in one dispatch, and the bindings that they have in common. */
export interface Group {
  readonly stages: readonly Stage[];
  readonly bindings: readonly Binding[];
}

/** How far behind the next stage others are looked for that can join it. */
const WINDOW = 64;
/** Workgroups of a stage that does not mind what else its dispatch does. */
const FEW = 64;

/**
 * Puts stages that do not wait for each other into one dispatch, as far as `most` bindings reach: a GPU works on all of them at once, and
 * waits once instead of many times. Large stages join others of their kind only, since all threads of a dispatch get the registers that
 * the greediest needs. Small updates of slots, which nobody waits for, are put off until they fill a dispatch.
 * @param isSlot tells which buffers are slots.
 */
export function merge(stages: readonly Stage[], most: number, isSlot: (buffer: number) => boolean): Group[] {
  const waitsFor = dependencies(stages);
  const left = new Set(stages.keys());
  const idle = (i: number): boolean => stages[i]!.shader.groups <= FEW && [...stages[i]!.shader.writes].every(isSlot);
  const ready = (i: number): boolean => waitsFor[i]!.every((j) => !left.has(j));
  const groups: Group[] = [];
  while (left.size > 0) {
    const [first] = left;
    const leader = [...left].find((i) => !idle(i)) ?? first!;
    // What the next stage waits for may have been put off.
    const [start = leader] = ready(leader) ? [leader] : [...left].filter(ready);
    const candidates = [...left].filter((i) => i < start || (i > start && i < start + WINDOW)).filter(ready);
    let group: Group = grown({ stages: [], bindings: [] }, stages[start]!, Number.POSITIVE_INFINITY)!;
    const members = [start];
    const putOff = idle(start);
    for (const i of candidates) {
      // What is idle waits for its like.
      if (i === start || idle(i) !== putOff || !alike(stages[start]!, stages[i]!)) continue;
      const larger = grown(group, stages[i]!, most);
      if (larger === null) continue;
      group = larger;
      members.push(i);
    }
    for (const i of members) left.delete(i);
    groups.push(group);
  }
  return groups;
}

function grown(group: Group, stage: Stage, most: number): Group | null {
  const stages = [...group.stages, stage];
  const bindings = commonBindings(stages.map(({ shader }) => shader));
  return bindings !== null && bindings.length <= most ? { stages, bindings } : null;
}

function alike({ shader: a }: Stage, { shader: b }: Stage): boolean {
  return a.threads === b.threads && (a.name === b.name || (a.groups <= FEW && b.groups <= FEW));
}

/** For each stage, those that must run before it: who writes what it reads, and who reads or writes what it writes. */
function dependencies(stages: readonly Stage[]): number[][] {
  const writer = new Map<number, number>();
  const readers = new Map<number, number[]>();
  return stages.map(({ shader: { reads, writes } }, i) => {
    const before = new Set<number>();
    for (const buffer of reads) if (writer.has(buffer)) before.add(writer.get(buffer)!);
    for (const buffer of writes) {
      if (writer.has(buffer)) before.add(writer.get(buffer)!);
      for (const reader of readers.get(buffer) ?? []) before.add(reader);
    }
    for (const buffer of reads) readers.set(buffer, [...(readers.get(buffer) ?? []), i]);
    for (const buffer of writes) {
      writer.set(buffer, i);
      readers.set(buffer, []);
    }
    before.delete(i);
    return [...before];
  });
}
