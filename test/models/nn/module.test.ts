import { beforeAll, describe, expect, it } from 'vitest';
import { type HostArray, memoryBytes, ones, realize, useBackend, zeros } from '../../../engine/index.ts';
import {
  BatchNorm1d,
  Conv2d,
  deriveKey,
  type Encoder,
  Expander,
  encoders,
  Linear,
  MLP,
  parseSafetensors,
  ResNet,
  Sequential,
  SmallConvNet,
  serializeSafetensors,
} from '../../../models/index.ts';
import { dropout } from '../../../models/nn/functional.ts';
import { expectError, normalMatrix, values } from '../support.ts';

beforeAll(async () => {
  await useBackend('cpu');
});

const key = 0;

describe('state dicts', () => {
  it('name what PyTorch names', () => {
    const names = (module: { namedSlots(): Iterable<readonly [string, unknown]> }): string[] =>
      [...module.namedSlots()].map(([name]) => name);
    expect(names(new Expander(8, [4, 4, 4], { key }))).toEqual([
      ...['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'],
      ...['3.weight', '3.bias', '4.weight', '4.bias', '4.running_mean', '4.running_var', '6.weight'],
    ]);
    expect(names(new SmallConvNet({ key })).slice(0, 6)).toEqual([
      '0.0.weight',
      '0.1.weight',
      '0.1.bias',
      '0.1.running_mean',
      '0.1.running_var',
      '1.0.weight',
    ]);
    const resnet = names(new ResNet('resnet18', { key }));
    expect(resnet.slice(0, 7)).toEqual([
      'conv1.weight',
      'bn1.weight',
      'bn1.bias',
      'bn1.running_mean',
      'bn1.running_var',
      'layer1.0.conv1.weight',
      'layer1.0.bn1.weight',
    ]);
    expect(resnet).toContain('layer2.0.downsample.1.running_var');
    // torchvision's 122 entries less 20 num_batches_tracked and the classifier's 2.
    expect(resnet.length).toBe(100);
  });

  it.each([
    ['resnet18', 11_176_512, 512],
    ['resnet34', 21_284_672, 512],
    ['resnet50', 23_508_032, 2048],
  ] as const)(
    '%s has the parameters that torchvision’s has without its classifier',
    (name, count, width) => {
      const resnet = encoders[name]({ key });
      expect(resnet.parameters().reduce((sum, parameter) => sum + parameter.size, 0)).toBe(count);
      expect(resnet.width).toBe(width);
    },
    120_000,
  );

  it('the small net has 93K parameters', () => {
    expect(new SmallConvNet({ key }).parameters().reduce((sum, parameter) => sum + parameter.size, 0)).toBe(92_896);
  });

  it('a net of other layers has those', () => {
    const net = new SmallConvNet({
      key,
      layers: [
        { width: 4, kernel: 5, stride: 2 },
        { width: 6, kernel: 2, padding: 0 },
      ],
    });
    expect([...net.namedSlots()].flatMap(([name, { shape }]) => (name.endsWith('0.weight') ? [[name, ...shape]] : []))).toEqual([
      ['0.0.weight', 4, 1, 5, 5],
      ['1.0.weight', 6, 4, 2, 2],
    ]);
    expect(net.featureMap(zeros([2, 1, 12, 12])).shape).toEqual([2, 6, 5, 5]);
    for (const levels of [0, 1.5, 4])
      expectError(() => new SmallConvNet({ key, levels }), 'argument', /levels must be a whole number from 1 to 3/);
    expectError(() => new SmallConvNet({ key, layers: [] }), 'argument', /SmallConvNet: needs a layer at least/);
    const four = encoders['small-conv4']({ key });
    expect(four.parameters().reduce((sum, parameter) => sum + parameter.size, 0)).toBe(388_320);
    expect(four.featureMap(zeros([1, 1, 28, 28])).shape).toEqual([1, four.width, 2, 2]);
    expect(four.width).toBe(64 + 128 + 256);
  });

  it('features of several layers are each layer’s own, pooled to the size of the last', async () => {
    const layers = [
      { width: 3, stride: 2 },
      { width: 4, stride: 2 },
    ] as const;
    const x = ones([1, 1, 8, 8]);
    const [both, first, last] = await Promise.all(
      [
        new SmallConvNet({ key, layers, levels: 2 }),
        new SmallConvNet({ key, layers: layers.slice(0, 1) }),
        new SmallConvNet({ key, layers }),
      ].map(async (net) => (await values(net.forward(x)))[0]!),
    );
    expect(both).toHaveLength(7);
    [...first!, ...last!].forEach((value, i) => expect(both![i]).toBeCloseTo(value, 6));
  });

  it('go to bytes and back, into a network that computes the same', async () => {
    const [from, to] = [new SmallConvNet({ key: 1 }), new SmallConvNet({ key: 2 })];
    const x = ones([2, 1, 8, 8]);
    const [before] = await values(to.forward(x));
    to.loadStateDict(parseSafetensors(serializeSafetensors(await from.stateDict())).tensors);
    const [expected, after] = await values(from.forward(x), to.forward(x));
    expect(after).toEqual(expected);
    expect(after).not.toEqual(before);
    to.loadStateDict(Object.fromEntries(await from.stateDict()));
  });

  it('accept num_batches_tracked, a classifier where asked, and f64 for f32', async () => {
    const bn = new BatchNorm1d(2);
    const array = (dtype: 'f64' | 'i32', shape: readonly number[], ...data: number[]): HostArray => ({
      dtype,
      shape,
      data: dtype === 'f64' ? Float64Array.from(data) : Int32Array.from(data),
    });
    const state = {
      weight: array('f64', [2], 1, 2),
      bias: array('f64', [2], 3, 4),
      running_mean: array('f64', [2], 0.1, 0.2),
      running_var: array('f64', [2], 1, 1),
      num_batches_tracked: array('i32', [], 7),
    };
    bn.loadStateDict(state);
    expect([...(await bn.runningMean.data())]).toEqual([Math.fround(0.1), Math.fround(0.2)]);
    const headed = { ...state, 'fc.weight': array('f64', [1], 0) };
    expectError(() => bn.loadStateDict(headed), 'format', /left over: fc\.weight/);
    bn.loadStateDict(headed, { ignore: ['fc.'] });
    bn.loadStateDict({ weight: state.weight }, { strict: false });
  });

  it('say what does not fit, and change nothing then', async () => {
    const linear = new Linear(2, 3, { key });
    const before = await linear.stateDict();
    const good: HostArray = { dtype: 'f32', shape: [3, 2], data: new Float32Array(6) };
    expectError(() => linear.loadStateDict({ weight: good }), 'format', /Linear.*missing: bias/);
    expectError(
      () => linear.loadStateDict({ weight: good, bias: good, other: good }),
      'format',
      /left over: other; bias must be f32 \[3\], got f32 \[3, 2\]/,
    );
    expectError(
      () => linear.loadStateDict({ weight: { ...good, dtype: 'i32', data: new Int32Array(6) } }, { strict: false }),
      'format',
      /weight must be f32 \[3, 2\], got i32/,
    );
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x${i}`, good]));
    expectError(() => linear.loadStateDict(many), 'format', /and 12 more/);
    expect(await linear.stateDict()).toEqual(before);
  });
});

describe('construction', () => {
  it('is a pure function of the key', async () => {
    const [a, b, c] = await Promise.all([5, 5, 6].map((seed) => new MLP([3, 4, 2], { key: seed }).stateDict()));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    const own = new MLP([3, 3, 3], { key });
    const [first, second] = own.parameters().filter(({ shape }) => shape.length === 2);
    expect(await first!.data()).not.toEqual(await second!.data());
    expect(deriveKey(1, 0)).not.toEqual(deriveKey(1, 1));
    expectError(() => new Linear(1, 1, { key: 0.5 }), 'argument', /whole number/);
  });

  it('draws weights and biases as PyTorch does', async () => {
    const linear = new Linear(64, 512, { key, dtype: 'f64' });
    for (const parameter of linear.parameters()) {
      const data = Float64Array.from(await parameter.data());
      // Uniform on ±1/√fan_in: variance 1/(3·fan_in).
      expect(Math.max(...data)).toBeLessThanOrEqual(1 / 8);
      expect(Math.min(...data)).toBeGreaterThanOrEqual(-1 / 8);
      const variance = data.reduce((sum, value) => sum + value * value, 0) / data.length;
      expect(variance * 3 * 64).toBeGreaterThan(0.85);
      expect(variance * 3 * 64).toBeLessThan(1.15);
    }
    const conv = Float64Array.from(await new ResNet('resnet18', { key, stem: 'cifar' }).conv1.weight.data());
    // Normal of variance 2/fan_out, fan_out = 64·9.
    const variance = conv.reduce((sum, value) => sum + value * value, 0) / conv.length;
    expect((variance * 64 * 9) / 2).toBeGreaterThan(0.85);
    expect((variance * 64 * 9) / 2).toBeLessThan(1.15);
    // Kurtosis of a normal is 3, of a uniform 1.8.
    const fourth = conv.reduce((sum, value) => sum + value ** 4, 0) / conv.length;
    expect(fourth / variance ** 2).toBeGreaterThan(2.6);
    expect(fourth / variance ** 2).toBeLessThan(3.4);
  });

  it('gives the feature maps that probes pool', async () => {
    const shapes = (encoder: Encoder, ...shape: number[]): unknown => [
      encoder.featureMap(zeros(shape)).shape,
      encoder.forward(zeros(shape)).shape,
    ];
    expect(shapes(new SmallConvNet({ key }), 2, 1, 28, 28)).toEqual([
      [2, 128, 7, 7],
      [2, 128],
    ]);
    expect(shapes(new ResNet('resnet18', { key, stem: 'cifar' }), 2, 3, 32, 32)).toEqual([
      [2, 512, 4, 4],
      [2, 512],
    ]);
    expect(shapes(new ResNet('resnet18', { key, inputs: 1 }), 1, 1, 64, 64)).toEqual([
      [1, 512, 2, 2],
      [1, 512],
    ]);
  });

  it('says what is wrong', () => {
    const unknown: string = 'resnet152';
    expectError(() => new ResNet(unknown as 'resnet18', { key }), 'argument', /resnet18, resnet34, resnet50/);
    expectError(() => new Conv2d(3, 4, 3, { key, groups: 2 }), 'argument', /do not divide into 2 groups/);
    expectError(() => new MLP([3], { key }), 'argument', /input and output/);
    expectError(() => new BatchNorm1d(3).forward(zeros([4, 2])), 'shape', /BatchNorm1d: takes 3 channels.*\[4, 2\]/);
    expectError(
      () => new BatchNorm1d(3).forward(zeros([1, 3]), { train: true }),
      'shape',
      /more than one value to a channel.*larger batch/,
    );
  });
});

describe('running', () => {
  it('updates running statistics in training only, and composes when run twice in a step', async () => {
    const bn = new BatchNorm1d(2, { dtype: 'f64' });
    const [a, b] = [normalMatrix(1, 5, 2), normalMatrix(2, 5, 2)];
    await bn.forward(a).data();
    expect([...(await bn.runningMean.data())]).toEqual([0, 0]);
    const [meanA, meanB, varA, varB] = await values(a.mean(0), b.mean(0), a.variance(0), b.variance(0));
    await realize(bn.forward(a, { train: true }), bn.forward(b, { train: true }));
    const [mean, variance] = [await bn.runningMean.data(), await bn.runningVar.data()];
    for (const j of [0, 1]) {
      expect(mean[j]).toBeCloseTo(0.9 * (0.1 * meanA![j]!) + 0.1 * meanB![j]!, 12);
      expect(variance[j]).toBeCloseTo(0.9 * (0.9 + 0.1 * varA![j]!) + 0.1 * varB![j]!, 12);
    }
  });

  it('gives each layer of a sequence its own key', async () => {
    const drop = new Sequential([
      (x, { key: own }) => dropout(x, { p: 0.5, key: own! }),
      (x, { key: own }) => dropout(x, { p: 0.5, key: own! }),
    ]);
    const x = ones([4000]);
    const [y, again] = await values(drop.forward(x, { train: true, key: 3 }), drop.forward(x, { train: true, key: 3 }));
    expect(y).toEqual(again);
    const kept = y!.filter((value) => value !== 0);
    expect(kept.every((value) => value === 4)).toBe(true);
    expect(Math.abs(kept.length / 4000 - 0.25)).toBeLessThan(0.04);
  });

  it('gives its memory back', async () => {
    const before = await memoryBytes();
    const net = new SmallConvNet({ key });
    const y = net.forward(ones([1, 1, 8, 8]));
    await realize(y);
    expect(await memoryBytes()).toBeGreaterThan(before);
    y.dispose();
    net.dispose();
    await expect(async () => net.stateDict()).rejects.toThrow(/disposed/);
  });
});
