import type { JSX } from 'preact';
import type { PlanTree } from '../../training/protocol.ts';
import { number, percent, texts } from '../locale.ts';
import { askForPlan, plan } from '../state.ts';
import { Figure } from './figure.tsx';

const units = ['', 'K', 'M', 'G', 'T'] as const;

/** 12.3 MFLOP, 4.0 MB. */
function sized(value: number, unit: string): string {
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${number(value / 1000 ** step, step === 0 ? 0 : 1)} ${units[step]}${unit}`;
}

interface Costed {
  readonly milliseconds: number | null;
  readonly flops: number;
}

/** What a part took: its time where that was measured, else its arithmetic; and its share of the step. */
function Cost({ of, whole }: { readonly of: Costed; readonly whole: Costed }): JSX.Element {
  const measured = of.milliseconds !== null && whole.milliseconds !== null;
  const share = measured ? of.milliseconds! / whole.milliseconds! : whole.flops > 0 ? of.flops / whole.flops : 0;
  return (
    <span class="cost">
      <span class="bar" style={{ width: `${(100 * share).toFixed(1)}%` }} />
      <span>{measured ? `${number(of.milliseconds!, of.milliseconds! < 1 ? 3 : 2)} ms` : sized(of.flops, 'FLOP')}</span>
      <span class="share">{percent(share)}</span>
    </span>
  );
}

function Tree({ tree }: { readonly tree: PlanTree }): JSX.Element {
  const { planPhases, kernels, planListing, planUnmeasured, planSummary } = texts.value;
  return (
    <>
      <p class="small">{planSummary(tree.kernels, tree.fused, sized(tree.flops, 'FLOP'), sized(tree.arenaBytes, 'B'))}</p>
      {tree.milliseconds === null && <p class="small">{planUnmeasured}</p>}
      <div class="tree">
        {tree.phases.map((phase) => (
          <details key={phase.name} open={phase.name === 'forward'}>
            <summary>
              <span>{planPhases[phase.name]}</span>
              <Cost of={phase} whole={tree} />
            </summary>
            {phase.groups.map((group) => (
              <details key={group.name}>
                <summary>
                  <span>
                    <code>{group.name}</code> <span class="faint">{kernels(group.kernels.length)}</span>
                  </span>
                  <Cost of={group} whole={tree} />
                </summary>
                <ul class="plain kernels">
                  {group.kernels.map((kernel) => (
                    <li key={kernel.index}>
                      <span>
                        <span class="faint">{kernel.index}</span> <code>{kernel.title}</code>
                        <span class="faint">{kernel.writes.length > 0 ? ` → ${kernel.writes.join(', ')}` : ''}</span>
                      </span>
                      <Cost of={kernel} whole={tree} />
                    </li>
                  ))}
                </ul>
              </details>
            ))}
          </details>
        ))}
      </div>
      <details class="table">
        <summary>{planListing}</summary>
        {/* It is scrolled by keys. */}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: as said. */}
        <pre tabIndex={0}>{tree.listing}</pre>
      </details>
    </>
  );
}

/** The compiled plan of a step, as a tree that is read from its phases to its kernels. */
export function Plan(): JSX.Element {
  const { planRead, planAgain } = texts.value;
  return (
    <Figure name="plan">
      <p>
        <button type="button" class="button" onClick={askForPlan}>
          {plan.value ? planAgain : planRead}
        </button>
      </p>
      {plan.value && <Tree tree={plan.value.plan} />}
    </Figure>
  );
}
