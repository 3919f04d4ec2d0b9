import { describe, expect, it } from 'vitest';
import { contextOf, drawn } from './draws.ts';
import { mistakes as heldOut } from './heldOut/index.ts';
import type { Outcome } from './implementations/formula.ts';
import { implementations } from './implementations/index.ts';
import type { Mistake } from './mistake.ts';
import { dinoWithCentre } from './mistakes/distillation.ts';
import { mistakes } from './mistakes/index.ts';

/** What of an outcome is compared: the loss, and where the mistake shows elsewhere, that. */
function shown(outcome: Outcome, { shows }: Mistake): number[] {
  if (typeof outcome === 'number') return [outcome];
  if (shows === 'gradients') return outcome.gradients!.flat(2);
  return shows === 'state' ? [...outcome.centre!] : [outcome.loss];
}

const rightOf = ({ family, shows }: Mistake) =>
  shows === 'state' ? dinoWithCentre : implementations[family][shows === 'gradients' ? 'withGradients' : 'loss'];

describe('mistakes', () => {
  it('are at least 30, in every family', () => {
    expect(mistakes.length).toBeGreaterThanOrEqual(30);
    expect([...new Set(mistakes.map(({ family }) => family))].sort()).toEqual(Object.keys(implementations).sort());
  });

  it('ten of others were held out, in ten families, until the auditor stood', () => {
    expect(heldOut.length).toBe(10);
    expect(new Set(heldOut.map(({ family }) => family)).size).toBe(10);
    const all = [...mistakes, ...heldOut];
    expect(new Set(all.map(({ family, name }) => `${family}: ${name}`)).size).toBe(all.length);
  });

  it.each([...mistakes, ...heldOut].map((mistake) => ({ mistake, title: `${mistake.family}: ${mistake.name}` })))(
    '$title differs from what is right',
    ({ mistake }) => {
      const { family, dialect, options } = mistake;
      const differences = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((seed) => {
        const draw = drawn(family, seed, { ...(dialect === undefined ? {} : { dialect }), ...options });
        const [wrong, right] = [mistake.loss, rightOf(mistake)].map((loss) => shown(loss(...draw.embeddings, contextOf(draw)), mistake));
        const size = Math.max(1e-3, ...right!.map(Math.abs));
        return Math.max(...wrong!.map((value, i) => Math.abs(value - right![i]!))) / size;
      });
      // Without a predictor a held-out one cannot show, so fewer draws must differ there.
      expect(differences.filter((difference) => !(difference < 1e-8)).length).toBeGreaterThanOrEqual(heldOut.includes(mistake) ? 2 : 4);
    },
  );
});
