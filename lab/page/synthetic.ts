/** A made-up training, to look at the page by. */
import {
  type Command,
  initialLevers,
  initialSetting,
  type Message,
  type MessageOf,
  type Setting,
  type Training,
} from '../training/protocol.ts';

const gauss = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

export function connect(): Training {
  const listeners = new Map<string, Set<(message: never) => void>>();
  const tell = (message: Message) => {
    for (const each of listeners.get(message.kind) ?? []) each(message as never);
  };
  let setting: Setting = initialSetting;
  let levers = { ...initialLevers };
  let phase: MessageOf<'status'>['phase'] = 'loading';
  let step = 0;
  const [count, d] = [600, 64];
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const pixels = new Uint8Array(count * 784);
  for (let i = 0; i < count; i++) {
    const [cx, cy, r] = [8 + Math.random() * 12, 8 + Math.random() * 12, 4 + (i % 10)];
    for (let y = 0; y < 28; y++)
      for (let x = 0; x < 28; x++) pixels[i * 784 + y * 28 + x] = Math.max(0, 255 - 30 * Math.abs(Math.hypot(x - cx, y - cy) - r));
  }
  const shown = { count, channels: 1, height: 28, width: 28, pixels };
  const centres = Array.from({ length: 10 }, () => [gauss() * 2, gauss() * 1.6, gauss() * 1.2]);
  const base = Float32Array.from({ length: count * 3 }, (_, i) => centres[Math.floor(i / 3) % 10]![i % 3]! + 0.5 * gauss());
  let spread = 1;
  let copies = 0;
  const status = () =>
    tell({
      kind: 'status',
      phase,
      at: { backend: 'wasm', threads: 2, isolated: true, worker: true, adapter: null },
      setting,
      levers,
      step,
      compiled: 1,
    });
  const neighbours = (image: number) =>
    tell({
      kind: 'neighbours',
      step,
      image,
      before: [...Array(8)].map(() => ({ image: Math.floor(Math.random() * count), similarity: 0.9 })),
      now: [...Array(8)].map((_, i) => ({ image: (image + 10 * (i + 1)) % count, similarity: 0.95 - i / 100 })),
    });
  const measure = () => {
    const off = setting.method === 'vicreg' ? levers.variance === 0 : !setting.stopGradient || !setting.whitening;
    spread += ((off ? 0.01 : 1) - spread) * 0.15;
    copies += ((levers.covariance === 0 || levers.offDiagonal === 0 ? 0.8 : 0.06) - copies) * 0.1;
    const sphere = ['w-mse', 'simclr', 'simsiam', 'byol'].includes(setting.method);
    const points = base.map((value) => value * spread + 0.02 * gauss());
    if (sphere)
      for (let i = 0; i < count; i++) {
        const at = [points[3 * i]! + 3 * (1 - spread), points[3 * i + 1]!, points[3 * i + 2]!];
        const length = Math.hypot(...at);
        points.set(
          at.map((value) => value / length),
          3 * i,
        );
      }
    const deviations = Float32Array.from({ length: d }, () => spread * (1 + 0.08 * gauss()));
    const matrix = Float32Array.from({ length: d * d }, (_, i) => {
      const [a, b] = [Math.floor(i / d), i % d];
      return spread * spread * (a === b ? 1 : copies * Math.sin(a) * Math.sin(b) + 0.05 * gauss());
    });
    const spectrum = Float32Array.from({ length: d }, (_, i) => spread ** 2 * Math.exp(-i / (4 + 30 * (1 - copies))));
    tell({
      kind: 'batch',
      step,
      deviations,
      gamma: 1,
      matrix,
      matrixOf: setting.method === 'barlow-twins' ? 'crossCorrelation' : 'covariance',
      spectrum,
      verdict:
        spread < 0.1
          ? { state: 'collapsed', measured: { name: 'deviation', value: spread }, message: 'x' }
          : { state: 'healthy', measured: null, message: null },
    });
    tell({
      kind: 'cloud',
      step,
      geometry: sphere ? 'sphere' : 'space',
      points,
      share: 0.42,
      rankMe: 8 + 40 * (1 - copies) * spread,
      dimensions: d,
    });
    if (step % 40 < 10) tell({ kind: 'scores', step, nearest: 0.75 - 0.4 * Math.exp(-step / 200), probe: 0.7 });
  };
  let timer: ReturnType<typeof setInterval> | null = null;
  const one = () => {
    step += 1;
    tell({
      kind: 'steps',
      steps: [
        {
          step,
          loss: 30 * Math.exp(-step / 100) + 12 + gauss() * 0.3,
          parts:
            setting.method === 'vicreg'
              ? { invariance: 0.3 + 0.02 * gauss(), variance: Math.max(0.01, 1 - spread), covariance: 2 * copies }
              : {},
          deviation: spread,
          directions: 1,
          correlation: copies,
          probe: 0.72 - 0.5 * Math.exp(-step / 150) + 0.03 * gauss(),
          milliseconds: 30,
        },
      ],
    });
  };
  const handle: { readonly [Kind in Command['kind']]?: (command: never) => void } = {
    open: (command: { setting: Setting; levers: typeof levers }) => {
      ({ setting, levers } = command);
      setTimeout(() => {
        tell({
          kind: 'data',
          name: 'embedded',
          count: 10000,
          classes: ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'],
          shown,
          labels,
        });
        const eight = (jitter: number) => ({
          ...shown,
          count: 8,
          pixels: shown.pixels.slice(0, 8 * 784).map((value) => Math.min(255, value * (1 + jitter))),
        });
        tell({ kind: 'views', images: eight(0), views: [eight(0.5), eight(-0.5)] });
        phase = 'running';
        status();
        neighbours(0);
        timer = setInterval(() => {
          if (phase !== 'running') return;
          one();
          if (step % 5 === 0) measure();
        }, 40);
      }, 500);
    },
    set: (command: { setting: Partial<Setting> }) => {
      setting = { ...setting, ...command.setting };
      status();
    },
    levers: (command: { levers: Partial<typeof levers> }) => {
      levers = { ...levers, ...command.levers };
    },
    run: () => {
      phase = 'running';
      status();
    },
    pause: () => {
      phase = 'paused';
      status();
    },
    step: () => {
      phase = 'paused';
      one();
      measure();
      status();
    },
    restart: () => {
      step = 0;
      spread = 0.4;
      status();
    },
    choose: (command: { image: number }) => neighbours(command.image),
    close: () => timer && clearInterval(timer),
  };
  return {
    post: (command) => (handle[command.kind] as ((command: Command) => void) | undefined)?.(command),
    on: (kind, listener) => {
      const all = listeners.get(kind) ?? new Set();
      listeners.set(kind, all.add(listener as never));
      return () => all.delete(listener as never);
    },
    close: () => timer && clearInterval(timer),
  };
}
