/**
 * What the lab's page and the worker in which it trains say to each other: plain data, which structured cloning takes. Arrays of a message are
 * transferred to the page, which may keep and change them. `connect` of client.ts starts the worker and speaks this for a page.
 */

/** How a number is moved along its range. */
export interface LeverRange {
  readonly least: number;
  readonly most: number;
  readonly initial: number;
  /** What is even along a slider: the number, or its logarithm (whose `least` is above 0), or that and an off position at 0. */
  readonly scale: 'linear' | 'logarithmic' | 'logarithmicWithZero';
  /** The methods that have it; all, unless given. */
  readonly methods?: readonly MethodName[];
}

/** The methods, in the order in which they are told of. */
export const methodNames = ['vicreg', 'barlow-twins', 'w-mse', 'simclr', 'simsiam', 'byol'] as const;
export type MethodName = (typeof methodNames)[number];

/** The numbers that are moved while it trains: each is given to every step anew, so nothing compiles when one changes. */
export const levers = {
  /** Of VICReg's terms, by their published weights. */
  invariance: { least: 0, most: 100, initial: 25, scale: 'linear', methods: ['vicreg'] },
  variance: { least: 0, most: 100, initial: 25, scale: 'linear', methods: ['vicreg'] },
  covariance: { least: 0, most: 25, initial: 1, scale: 'linear', methods: ['vicreg'] },
  /** Of Barlow Twins' off-diagonal part. */
  offDiagonal: { least: 1e-4, most: 1, initial: 0.05, scale: 'logarithmicWithZero', methods: ['barlow-twins'] },
  /** What SimCLR's cosines are divided by: so high that near negatives count no more than far ones, it collapses. */
  temperature: { least: 0.05, most: 50, initial: 0.5, scale: 'logarithmic', methods: ['simclr'] },
  /** The share of itself that BYOL's teacher keeps at a step. */
  teacherMomentum: { least: 0, most: 1, initial: 0.97, scale: 'linear', methods: ['byol'] },
  learningRate: { least: 1e-5, most: 1e-1, initial: 2e-3, scale: 'logarithmic' },
  /** Of the augmentation: 0 leaves images as they are, 1 is the strongest. */
  strength: { least: 0, most: 1, initial: 0.5, scale: 'linear' },
} as const satisfies Readonly<Record<string, LeverRange>>;

export type LeverName = keyof typeof levers;
export type Levers = Readonly<Record<LeverName, number>>;

/** What a plan is compiled for. The plans of settings that have been are kept, so that going back to one compiles nothing. */
export interface Setting {
  readonly method: MethodName;
  /** Whether both views have one encoder and head, or each its own: VICReg alone, whose loss does not need them to share. */
  readonly branches: 'shared' | 'separate';
  /** Whether SimSiam's and BYOL's targets are constants. Without that, they collapse. */
  readonly stopGradient: boolean;
  /** Whether W-MSE whitens what it compares. Without that, it collapses. */
  readonly whitening: boolean;
  /** Images of a step; fewer where there are fewer. */
  readonly batchSize: number;
  /** Of the initial weights, the order of the images and the views. */
  readonly seed: number;
}

export const initialSetting: Setting = {
  method: 'vicreg',
  branches: 'shared',
  stopGradient: true,
  whitening: true,
  batchSize: 64,
  seed: 0,
};

export const initialLevers: Levers = {
  invariance: levers.invariance.initial,
  variance: levers.variance.initial,
  covariance: levers.covariance.initial,
  offDiagonal: levers.offDiagonal.initial,
  temperature: levers.temperature.initial,
  teacherMomentum: levers.teacherMomentum.initial,
  learningRate: levers.learningRate.initial,
  strength: levers.strength.initial,
};

/** What a method trains better with than with the initial numbers. */
const recommended: { readonly [Name in MethodName]?: Partial<Levers> } = { simsiam: { learningRate: 1e-3 } };

/** The numbers that a method begins with. */
export const leversOf = (method: MethodName): Levers => ({ ...initialLevers, ...recommended[method] });

export const backendNames = ['webgpu', 'wasm', 'cpu'] as const;
export type BackendName = (typeof backendNames)[number];

/** Where it is to train. */
export interface Place {
  /** `auto` is the GPU where there is one that is no imitation, else wasm, else cpu. */
  readonly backend: BackendName | 'auto';
  /** Threads of wasm; all cores, or the one that there may be, unless given. */
  readonly threads?: number;
}

/** From the page to the worker. Those that change how it trains take effect between two steps. */
export type Command =
  /** The first: what all others are about. It trains at once, unless `paused`. */
  | {
      readonly kind: 'open';
      readonly place: Place;
      readonly setting: Setting;
      readonly levers: Levers;
      /** Address of the embedded images, for the worker to fetch: absolute, or relative to the worker. */
      readonly data: string;
      readonly paused?: boolean;
    }
  /** Of a setting, what is to change: the encoder stays as it is; what the method has beside it begins anew, where it is another. Another seed restarts. */
  | { readonly kind: 'set'; readonly setting: Partial<Setting> }
  | { readonly kind: 'levers'; readonly levers: Partial<Levers> }
  | { readonly kind: 'run' }
  | { readonly kind: 'pause' }
  /** One step, after which it rests. */
  | { readonly kind: 'step' }
  /** Begins with new weights, by the setting's seed. It goes on running or resting, as before. */
  | { readonly kind: 'restart' }
  /** Moves what trains to another backend, with all of its state. */
  | { readonly kind: 'move'; readonly place: Place }
  /** Trains from the beginning on these images, which stay in the browser; on the embedded ones if there are none. A class for each where `labels` names one. */
  | { readonly kind: 'images'; readonly files: readonly Blob[]; readonly names?: readonly string[]; readonly labels?: readonly string[] }
  /** Whose neighbours are wanted: a number of the shown images. */
  | { readonly kind: 'choose'; readonly image: number }
  /** Asks for `plan`. Times of the kernels are there on a GPU that measures them. */
  | { readonly kind: 'plan' }
  /** Asks for `saved`. */
  | { readonly kind: 'save' }
  /** Goes on with a run that was saved. */
  | { readonly kind: 'load'; readonly bytes: Uint8Array }
  /** Asks for `encoder`. */
  | { readonly kind: 'encoder' }
  /** Whether anybody looks: hidden, it trains without making pictures. */
  | { readonly kind: 'visible'; readonly visible: boolean }
  /** Ends; nothing may follow. */
  | { readonly kind: 'close' };

/** Where it trains, and why there. */
export interface Whereabouts {
  readonly backend: BackendName;
  /** 1 but for wasm. */
  readonly threads: number;
  /** Whether the page is cross-origin isolated, without which there is one thread. */
  readonly isolated: boolean;
  /** Whether it is in a worker; else on the page's own thread, which then stutters. */
  readonly worker: boolean;
  /** What the GPU calls itself; null for the others. */
  readonly adapter: string | null;
}

/** What one step measured. */
export interface StepNumbers {
  /** Steps done, this one included. */
  readonly step: number;
  readonly loss: number;
  /** The terms before their weights, by name; empty for a method with one. */
  readonly parts: Readonly<Record<string, number>>;
  /** Mean deviation of the batch's embedding over its dimensions. */
  readonly deviation: number;
  /** The same of its directions, times √d: 1 is healthy. */
  readonly directions: number;
  /** Mean |correlation| of different dimensions. */
  readonly correlation: number;
  /** The share of the batch whose class a linear classifier told right, which learns beside; null without classes. */
  readonly probe: number | null;
  /** What it took. */
  readonly milliseconds: number;
}

/** Images to be shown, [count, channels, height, width] of bytes, channels 1 (grey) or 3 (red, green, blue). */
export interface Pictures {
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
}

/** How the embedding does, by what tells a collapse of its method. */
export interface Verdict {
  /** `early`: it is too soon to tell. `redundant`: dimensions repeat each other. `diverged`: the loss is no number. */
  readonly state: 'early' | 'healthy' | 'collapsed' | 'redundant' | 'diverged';
  /** What was measured, and its number; null where nothing is wrong. */
  readonly measured: { readonly name: 'deviation' | 'directions' | 'correlation' | 'loss'; readonly value: number } | null;
  /** In English: what is seen, and what helps. Null where nothing is wrong. */
  readonly message: string | null;
}

/** What can go wrong while it goes on. */
export type Trouble =
  /** No WebAssembly SIMD: it computes with the cpu backend, slowly. */
  | 'noWebAssembly'
  /** No worker starts: it computes on the page's own thread. */
  | 'noWorker'
  /** One thread, since the page is not cross-origin isolated, or workers of blobs are forbidden. */
  | 'oneThread'
  /** A GPU was asked for, and there is none. */
  | 'noGpu'
  /** The GPU was lost; it goes on with wasm from the last state that was kept. */
  | 'gpuLost'
  /** Files that were no images, or of which too few were: it trains on as before, or on the others. */
  | 'badImages'
  /** A saved run that cannot be read: damaged, of another kind, or of another version. */
  | 'badRun'
  /** The embedded images did not come. */
  | 'noData'
  /** The method cannot work with these images or this batch. */
  | 'badSetting'
  /** Memory ran out. */
  | 'noMemory'
  /** The page could not keep something on the visitor's device. */
  | 'storageFull'
  /** Something that is a fault of the lab. */
  | 'fault';

/** From the worker to the page. */
export type Message =
  /** Whenever one of these changes. */
  | {
      readonly kind: 'status';
      /** `broken`: it cannot go on; `open` begins again. */
      readonly phase: 'loading' | 'compiling' | 'running' | 'paused' | 'broken';
      readonly at: Whereabouts | null;
      readonly setting: Setting;
      readonly levers: Levers;
      readonly step: number;
      /** Plans of steps compiled so far: moving a lever leaves it as it is. */
      readonly compiled: number;
    }
  /** What it trains on, once for each choice of images. */
  | {
      readonly kind: 'data';
      readonly name: 'embedded' | 'own';
      /** How many images it trains on. */
      readonly count: number;
      /** Empty without classes. */
      readonly classes: readonly string[];
      /** Those that are embedded, found as neighbours, and named by numbers. */
      readonly shown: Pictures;
      /** The class of each shown image; empty without classes. */
      readonly labels: Uint8Array;
    }
  /** Every step, some at once, in order. */
  | { readonly kind: 'steps'; readonly steps: readonly StepNumbers[] }
  /** What becomes of a batch, several times a second. */
  | {
      readonly kind: 'batch';
      readonly step: number;
      /** Of the first view's embedding: its deviation in each dimension, [d]. */
      readonly deviations: Float32Array;
      /** The deviation that VICReg asks for, and health has elsewhere. */
      readonly gamma: number;
      /** [d, d]: the covariance of the first view's embedding, or the cross-correlation of both (Barlow Twins). */
      readonly matrix: Float32Array;
      readonly matrixOf: 'covariance' | 'crossCorrelation';
      /** Eigenvalues of the covariance, descending, [d]. */
      readonly spectrum: Float32Array;
      readonly verdict: Verdict;
    }
  /** The shown images' embedding, several times a second. */
  | {
      readonly kind: 'cloud';
      readonly step: number;
      /** `space`: along the three principal axes, in the embedding's own scale, its mean in the middle. `sphere`: directions (of whitened rows, where the method whitens), of length 1. */
      readonly geometry: 'space' | 'sphere';
      /** [shown, 3]. */
      readonly points: Float32Array;
      /** The share of all variance that lies along these axes. */
      readonly share: number;
      /** How many dimensions are used, as RankMe has it: from 1 to d. */
      readonly rankMe: number;
      readonly dimensions: number;
    }
  /** How well images are told apart, every few seconds. */
  | { readonly kind: 'scores'; readonly step: number; readonly nearest: number | null; readonly probe: number | null }
  /** The nearest of the shown images to the one that was chosen, by the cosine of the encoder's features: as the encoder was at the beginning, and now. */
  | {
      readonly kind: 'neighbours';
      readonly step: number;
      readonly image: number;
      readonly before: readonly Neighbour[];
      readonly now: readonly Neighbour[];
    }
  /** Views of a few images at the strength that is set, when it changes and now and then: `images` first, then as many of each view. */
  | { readonly kind: 'views'; readonly images: Pictures; readonly views: readonly Pictures[] }
  | { readonly kind: 'plan'; readonly plan: PlanTree }
  /** A run as bytes: a .safetensors file, with all that is needed to go on. */
  | { readonly kind: 'saved'; readonly bytes: Uint8Array; readonly step: number }
  /** The encoder's weights by PyTorch's names, as .safetensors. */
  | { readonly kind: 'encoder'; readonly bytes: Uint8Array; readonly step: number }
  /** Now and then. */
  | { readonly kind: 'memory'; readonly engineBytes: number; readonly heapBytes: number | null }
  /** Something went wrong. */
  | {
      readonly kind: 'trouble';
      readonly trouble: Trouble;
      /** One line of plain English: what happened, and what it does now. */
      readonly message: string;
      /** Whether it goes on by itself. */
      readonly goesOn: boolean;
      /** The command that could not be done; null where it was none. */
      readonly command: Command['kind'] | null;
    };

export interface Neighbour {
  readonly image: number;
  readonly similarity: number;
}

/** A plan: what a step does, in phases, of layers, of kernels. */
export interface PlanTree {
  readonly phases: readonly PlanPhase[];
  readonly kernels: number;
  readonly flops: number;
  readonly bytes: number;
  readonly arenaBytes: number;
  /** Elementwise kernels that fusion removed. */
  readonly fused: number;
  /** Of a step, the sum of its kernels; null where it is not measured. */
  readonly milliseconds: number | null;
  /** The whole listing, as text. */
  readonly listing: string;
}

export interface PlanPhase {
  readonly name: 'views' | 'forward' | 'backward' | 'update';
  readonly milliseconds: number | null;
  readonly flops: number;
  readonly groups: readonly {
    /** The slots that its kernels read or write, in short ('encoder.1.0', 'head.3', 'optimizer'), or what they do where there are none. */
    readonly name: string;
    readonly milliseconds: number | null;
    readonly flops: number;
    readonly kernels: readonly PlanKernel[];
  }[];
}

export interface PlanKernel {
  readonly index: number;
  /** As the listing has it: 'conv forward', 'map mul add relu'. */
  readonly title: string;
  readonly writes: readonly string[];
  readonly reads: readonly string[];
  readonly flops: number;
  readonly bytes: number;
  readonly milliseconds: number | null;
}

type OfKind<Union extends { readonly kind: string }, Kind extends Union['kind']> = Extract<Union, { readonly kind: Kind }>;
export type MessageOf<Kind extends Message['kind']> = OfKind<Message, Kind>;
export type CommandOf<Kind extends Command['kind']> = OfKind<Command, Kind>;

/** What a page holds of a training: `connect` gives it. */
export interface Training {
  post(command: Command): void;
  /** Calls `listener` for each message of a kind, until the function that it returns is called. */
  on<Kind extends Message['kind']>(kind: Kind, listener: (message: MessageOf<Kind>) => void): () => void;
  close(): void;
}
