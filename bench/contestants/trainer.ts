/** Steps of a run of the reference recipe on the embedded images: views, loss, gradients, optimiser, what is watched. Takes the number of threads. */
import { useBackend } from '../../dist/engine/index.js';
import { Trainer, trainingConfig } from '../../dist/models/index.js';
import { loadDataset } from '../../dist/models/node.js';
import { type Contestant, serve, unable } from './serve.ts';

await useBackend('wasm', { threads: Number(process.argv[2]) });
const trainer = new Trainer(trainingConfig({ epochs: 100 }), await loadDataset('fashion-mnist-subset'));
const steps = trainer.run();

async function step(): Promise<number> {
  const { value, done } = await steps.next();
  if (done) throw new Error('all epochs are over; take fewer turns');
  return value.loss;
}

const contestant: Contestant = { ...unable('not a step'), step: () => ({ first: step, run: step }) };
await serve(() => Promise.resolve(contestant));
