/** Measures what the GPU can do, in the same run as the contestants: multiply-adds in registers, and a copy as large as the work. */
import { gpu } from '../webgpu.ts';
import { answer } from './serve.ts';

const threads = 256;
const chains = 8;
const flopsPerRound = chains * 4 * 2;
const smallestCopy = 2 ** 16;
const largestCopy = 2 ** 28;
/** A trial takes at least so long, so that starting it does not count. */
const trialMilliseconds = 10;

const names = Array.from({ length: chains }, (_, i) => `v${i}`);
const multiplyAdds = (multiplyAdd: (x: string) => string): string => `
@group(0) @binding(0) var<storage, read_write> result: array<f32>;
override rounds: u32;
@compute @workgroup_size(${threads})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let scale = vec4f(0.999) + f32(id.x) * 1e-12;
  let shift = vec4f(1e-3);
${names.map((name, i) => `  var ${name} = vec4f(f32(id.x) * 1e-9 + ${i + 1}.0);`).join('\n')}
  for (var round = 0u; round < rounds; round++) {
${names.map((name) => `    ${name} = ${multiplyAdd(name)};`).join('\n')}
  }
  let sum = ${names.join(' + ')};
  // Never so, but no compiler knows.
  if (sum.x + sum.y + sum.z + sum.w == -1.0) { result[0] = sum.x; }
}`;

const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
if (!adapter) throw new Error('no GPU adapter');
const { maxBufferSize } = adapter.limits;
const device = await adapter.requestDevice({ requiredLimits: { maxBufferSize } });
const result = device.createBuffer({ size: 4, usage: GPUBufferUsage.STORAGE });
const rounds = 1024;

interface Loop {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

/** The number of rounds is a constant of the pipeline, so that the loop is unrolled as far as the driver likes. */
function loopOf(code: string): Loop {
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module, constants: { rounds } } });
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: result } }] });
  return { pipeline, group };
}

/** A real GPU fuses both; one that a CPU imitates may have only one of them as an instruction. */
const loops: readonly Loop[] = [(x: string) => `fma(${x}, scale, shift)`, (x: string) => `${x} * scale + shift`].map((x) => loopOf(multiplyAdds(x)));

async function submitted(encode: (encoder: GPUCommandEncoder) => void): Promise<number> {
  const encoder = device.createCommandEncoder();
  encode(encoder);
  const commands = encoder.finish();
  const start = performance.now();
  device.queue.submit([commands]);
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

async function best(amount: number, trial: () => Promise<number>, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds;
  let least = Number.POSITIVE_INFINITY;
  do least = Math.min(least, await trial());
  while (performance.now() < end);
  return (amount * 1000) / least;
}

let workgroups = 64;
const computed = (loop: Loop): Promise<number> =>
  submitted((encoder) => {
    const pass = encoder.beginComputePass();
    pass.setPipeline(loop.pipeline);
    pass.setBindGroup(0, loop.group);
    pass.dispatchWorkgroups(workgroups);
    pass.end();
  });

for (const loop of loops) await computed(loop);
while (workgroups < 65_535 && (await computed(loops[0]!)) < trialMilliseconds) workgroups = Math.min(65_535, workgroups * 2);

let copies = 1;
let bytes = 0;
let pair: readonly GPUBuffer[] = [];
const copied = (): Promise<number> =>
  submitted((encoder) => {
    for (let i = 0; i < copies; i++) encoder.copyBufferToBuffer(pair[0]!, 0, pair[1]!, 0, bytes);
  });

async function sizeCopy(wanted: number): Promise<void> {
  for (const buffer of pair) buffer.destroy();
  bytes = Math.floor(Math.min(largestCopy, maxBufferSize, Math.max(smallestCopy, wanted)) / 4) * 4;
  pair = [0, 1].map(() => device.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST }));
  copies = 1;
  await copied();
  while (copies < 4096 && (await copied()) < trialMilliseconds) copies *= 2;
}

await answer(async (request) => {
  if ('count' in request) return { cannot: 'has no work to count' };
  if ('prepare' in request) await sizeCopy((request.prepare.demand?.bytes ?? 0) / 2);
  const each = ('sample' in request ? request.sample.milliseconds : trialMilliseconds) / 3;
  const flops = workgroups * threads * rounds * flopsPerRound;
  const rates: number[] = [];
  for (const loop of loops) rates.push(await best(flops, () => computed(loop), each));
  return { rates: { relaxed: 0, simd: 0, gpu: Math.max(...rates), copy: await best(2 * bytes * copies, copied, each) } };
});
