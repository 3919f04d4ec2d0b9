import type { Plan } from '../../compiler/plan.ts';
import type { Translation } from './translate.ts';

/** The dispatches of a plan as texts: which kernels each works for and what it binds, as comments, and its WGSL. */
export function listing({ buffers }: Plan, { dispatches, pieces }: Translation): string[] {
  const total = pieces.reduce((sum, bytes) => sum + bytes, 0);
  const names = dispatches.map(({ bindings }) =>
    bindings.map((place, k) =>
      'piece' in place ? `b${k} is piece ${place.piece}` : `b${k} is ${buffers[place.buffer]!.name || `%${place.buffer}`}`,
    ),
  );
  return [
    `// dispatches of one submit: ${dispatches.length}; pieces of scratch memory: ${pieces.length}, ${total} bytes`,
    ...dispatches.map(({ code, kernels, workgroups }, k) => {
      const whose = `kernel${new Set(kernels).size > 1 ? 's' : ''} ${[...new Set(kernels)].join(', ')}`;
      return `\n// dispatch ${k}: ${whose}; ${workgroups.join('×')} workgroups; ${names[k]!.join(', ')}\n${code}`;
    }),
  ];
}
