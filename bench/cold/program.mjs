/**
 * `node program.mjs KIND FOLDER PLAN`: a fresh process, from import to the first result of the small encoder for one image. Prints the milliseconds
 * that took, and those of CPU that the process has had by then. Plain JavaScript, for any Node.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { smallEncoder } from './onnx.mjs';

const [, , kind, folder, plan] = process.argv;
const require = createRequire(join(folder, 'package.json'));
/** Where a program in that folder finds its packages, which is no part of the time. */
const names = { plan: ['tensegrity/plan'], compiled: ['tensegrity', 'tensegrity/models'], threads: ['tensegrity', 'tensegrity/models'] };
const places = Object.fromEntries((names[kind] ?? []).map((name) => [name, pathToFileURL(require.resolve(name)).href]));
const from = (name) => import(places[name]);
const pixels = () => new Float32Array(784).fill(0.5);

async function compiled(choose) {
  const { compile, tensor, useBackend } = await from('tensegrity');
  const { SmallConvNet } = await from('tensegrity/models');
  const encoder = new SmallConvNet({ key: 1 });
  await choose(useBackend);
  const embed = compile((x) => encoder.forward(x));
  return (await embed(tensor({ dtype: 'f32', shape: [1, 1, 28, 28], data: pixels() }))).data();
}

/** Channels in, channels out, stride. */
const layers = [
  [1, 32, 2],
  [32, 64, 2],
  [64, 128, 1],
];

/** What a file on disk would hold, which its users have from elsewhere. */
const model = kind === 'onnx' ? smallEncoder(layers) : undefined;

const kinds = {
  nothing: () => [0],
  plan: async () => {
    const { loadPlan } = await from('tensegrity/plan');
    const embed = await loadPlan(readFileSync(plan));
    return (await embed({ dtype: 'f32', shape: [1, 1, 28, 28], data: pixels() })).data;
  },
  compiled: () => compiled((useBackend) => useBackend('wasm', { threads: 1 })),
  threads: () => compiled(() => undefined),
  // The same layers: a file of them, eagerly, and jitted, as their users have them.
  onnx: async () => {
    const ort = await import(pathToFileURL(join(folder, 'node_modules/onnxruntime-web/dist/ort.node.min.mjs')).href);
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
    const { features } = await session.run({ x0: new ort.Tensor('float32', pixels(), [1, 1, 28, 28]) });
    return features.data;
  },
  tfjs: async () => {
    const tf = require('@tensorflow/tfjs-core');
    const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm');
    setWasmPaths(`${join(require.resolve('@tensorflow/tfjs-backend-wasm'), '..')}/`);
    await tf.setBackend('wasm');
    await tf.ready();
    let x = tf.tensor(pixels(), [1, 28, 28, 1]);
    for (const [inputs, outputs, stride] of layers) {
      const y = tf.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), tf.fill([3, 3, inputs, outputs], 0.01), stride, 'valid');
      x = tf.relu(tf.add(tf.mul(y, tf.ones([outputs])), tf.zeros([outputs])));
    }
    return tf.mean(x, [1, 2]).data();
  },
  jaxjs: async () => {
    const { defaultDevice, init, jit, lax, nn, numpy: np } = await import(
      pathToFileURL(join(folder, 'node_modules/@jax-js/jax/dist/index.js')).href
    );
    await init('wasm');
    defaultDevice('wasm');
    const embed = jit((x, ...weights) => {
      for (const [k, [, , stride]] of layers.entries()) {
        const y = lax.convGeneralDilated(x, weights[3 * k], [stride, stride], [[1, 1], [1, 1]]);
        x = nn.relu(y.mul(weights[3 * k + 1]).add(weights[3 * k + 2]));
      }
      return np.mean(x, [2, 3]);
    });
    const weights = layers.flatMap(([inputs, outputs]) => [
      np.full([outputs, inputs, 3, 3], 0.01),
      np.full([1, outputs, 1, 1], 1),
      np.full([1, outputs, 1, 1], 0),
    ]);
    return embed(np.array(pixels()).reshape([1, 1, 28, 28]), ...weights).data();
  },
};

const start = performance.now();
const result = await kinds[kind]();
const milliseconds = performance.now() - start;
const { user, system } = process.cpuUsage();
if (!(result.length > 0) || !Number.isFinite(result[0])) throw new Error(`no result: ${result}`);
console.log(JSON.stringify({ milliseconds, cpu: (user + system) / 1000 }));
process.exit();
