import { type Slot, slot, type Tensor } from '../../../engine/index.ts';
import { byol, dino, dinoCentre, moveAverage, type SimSiamOptions, simsiam } from '../../../models/index.ts';
import { constant } from '../../../models/nn/initialize.ts';
import { replayFamily } from '../recorded.ts';

/** A slot with that value. */
function holding(value: Tensor): Slot {
  const held = slot(constant(value.shape, 0, value.dtype));
  held.assign(value);
  return held;
}

replayFamily(
  'distillation',
  {
    byol: ([p1, p2, z1, z2]) => ({ outputs: [byol([p1!, p2!], [z1!, z2!]).loss] }),
    simsiam: ([p1, p2, z1, z2], attributes) => ({ outputs: [simsiam([p1!, p2!], [z1!, z2!], attributes as SimSiamOptions).loss] }),
    dino: (inputs, attributes) => {
      const { crops, ...temperatures } = attributes as { crops: number; studentTemperature: number; teacherTemperature: number };
      return { outputs: [dino(inputs.slice(0, crops), inputs.slice(crops, -1), inputs.at(-1)!, temperatures).loss] };
    },
    dinoCentre: ([centre, ...teachers], { momentum }) => ({ outputs: [dinoCentre(centre!, teachers, { momentum: momentum as number })] }),
    moveAverage: ([target, source], attributes) => {
      const { momentum, steps } = attributes as { momentum: number; steps: number };
      const [moved, from] = [holding(target!), holding(source!)];
      for (let t = 0; t < steps; t++) moveAverage([moved], [from], momentum);
      return { outputs: [moved.value] };
    },
  },
  // Rows less than a hundredth of their length apart leave f32 four digits of their differences.
  { loosened: { 'byol/near-collapsed': 1e-4, 'simsiam/near-collapsed': 1e-4 } },
);
