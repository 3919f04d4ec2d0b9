import type { LeverName, MethodName, Trouble } from '../../training/protocol.ts';

/** One stop of the tour. */
export interface StopText {
  /** In the list of stops. */
  readonly name: string;
  readonly title: string;
  readonly paragraphs: readonly string[];
  /** What its lever is called, and its positions, where it has some. */
  readonly lever: string;
  readonly choices: Readonly<Record<string, string>>;
  /** What to look for. */
  readonly watch: string;
}

export interface Texts {
  readonly htmlLang: string;
  readonly title: string;
  readonly description: string;
  readonly tour: string;
  readonly lab: string;
  readonly toLab: string;
  readonly skip: string;
  readonly language: string;
  readonly theme: Readonly<Record<'auto' | 'light' | 'dark', string>>;
  readonly themeLabel: string;
  readonly back: string;
  readonly next: string;
  readonly stopOf: (stop: number, of: number) => string;
  readonly stops: readonly StopText[];

  readonly phases: Readonly<Record<'loading' | 'compiling' | 'running' | 'paused' | 'broken', string>>;
  readonly run: string;
  readonly pause: string;
  readonly step: string;
  readonly restart: string;
  readonly transport: string;
  readonly atStep: (step: string, speed: string | null) => string;
  readonly place: (backend: string, threads: number) => string;
  readonly isolated: string;
  readonly notIsolated: string;
  readonly reload: string;
  readonly private: string;

  readonly verdicts: Readonly<{
    early: string;
    healthy: (deviation: string) => string;
    healthyDirections: (directions: string) => string;
    collapsedPoint: (value: string) => string;
    collapsedDirection: (value: string) => string;
    redundant: (value: string) => string;
    diverged: string;
  }>;
  readonly announceRunning: string;
  readonly announcePaused: string;

  readonly method: string;
  readonly methods: Readonly<Record<MethodName, string>>;
  readonly families: Readonly<Record<MethodName, string>>;
  readonly levers: Readonly<Record<LeverName, string>>;
  readonly leverHelp: Readonly<Record<LeverName, string>>;
  readonly parts: Readonly<Record<string, string>>;
  readonly loss: string;
  readonly branches: string;
  readonly branchChoices: Readonly<Record<'shared' | 'separate', string>>;
  readonly stopGradient: string;
  readonly whitening: string;
  readonly on: string;
  readonly off: string;
  readonly seed: string;
  readonly newSeed: string;
  readonly batchSize: string;
  readonly backend: string;
  readonly backends: Readonly<Record<'auto' | 'webgpu' | 'wasm' | 'cpu', string>>;
  readonly groups: Readonly<Record<'method' | 'terms' | 'training' | 'machine' | 'run', string>>;

  readonly share: string;
  readonly shared: string;
  readonly shareByHand: string;
  readonly save: string;
  readonly open: string;
  readonly download: string;
  readonly reset: string;

  readonly figures: Readonly<Record<FigureName, { readonly title: string; readonly caption: string }>>;
  readonly asTable: string;
  readonly waiting: string;
  readonly noWebGl: string;

  readonly cloudLabel: (images: number, share: string) => string;
  readonly cloudHelp: string;
  readonly cloudImages: string;
  readonly imageNumber: (image: number) => string;
  readonly imageOf: (image: number, label: string) => string;
  readonly classOnly: string;
  readonly allClasses: string;
  readonly sphereNote: string;
  readonly spaceNote: string;
  readonly columns: Readonly<
    Record<
      | 'class'
      | 'images'
      | 'distance'
      | 'spread'
      | 'from'
      | 'to'
      | 'dimensions'
      | 'pair'
      | 'value'
      | 'axis'
      | 'share'
      | 'step'
      | 'similarity'
      | 'kernel'
      | 'time'
      | 'work'
      | 'noClass',
      string
    >
  >;
  readonly gamma: string;
  readonly heatLabel: (d: number, mean: string) => string;
  readonly deviationsLabel: (mean: string, below: number, d: number) => string;
  readonly spectrumLabel: (rankMe: string, d: number) => string;
  readonly curvesLabel: (names: string) => string;
  readonly nearest: string;
  readonly probe: string;
  readonly chance: (classes: number) => string;
  readonly chooseImage: string;
  readonly previousImage: string;
  readonly nextImage: string;
  readonly before: string;
  readonly now: string;
  readonly viewsLabel: (images: number) => string;
  readonly view: (number: number) => string;
  readonly planRead: string;
  readonly planAgain: string;
  readonly planSummary: (kernels: number, fused: number, work: string, memory: string) => string;
  readonly planPhases: Readonly<Record<'views' | 'forward' | 'backward' | 'update', string>>;
  readonly planUnmeasured: string;
  readonly planListing: string;
  readonly kernels: (count: number) => string;

  readonly drop: string;
  readonly dropHere: string;
  readonly pick: string;
  readonly pickFolder: string;
  readonly embedded: string;
  readonly ownCount: (count: number) => string;
  readonly stays: string;

  readonly notices: Readonly<Record<Trouble | 'badLink', { readonly title: string; readonly remedy: string }>>;
  readonly details: string;
  readonly dismiss: string;
  readonly noticesLabel: string;
  readonly classNames: Readonly<Record<string, string>>;
}

export type FigureName =
  | 'cloud'
  | 'matrix'
  | 'correlation'
  | 'deviations'
  | 'spectrum'
  | 'terms'
  | 'rank'
  | 'accuracy'
  | 'neighbours'
  | 'views'
  | 'plan';

export const en: Texts = {
  htmlLang: 'en',
  title: 'tensegrity lab',
  description: 'An encoder trains in your browser. Pull its levers, and see collapse happen and be prevented.',
  tour: 'Tour',
  lab: 'Lab',
  toLab: 'To the lab',
  skip: 'Skip to the content',
  language: 'Language',
  theme: { auto: 'As the system', light: 'Light', dark: 'Dark' },
  themeLabel: 'Colours',
  back: 'Back',
  next: 'Next',
  stopOf: (stop, of) => `${stop} of ${of}`,
  stops: [
    {
      name: 'The problem',
      title: 'The easiest answer is always the same',
      paragraphs: [
        'An encoder is shown two views of one picture, cropped and lit differently, and asked to give both the same answer. It is training in this page, now.',
        'The cheapest way to agree is to say one thing of every picture. The error is zero, and nothing has been learned. That is collapse.',
      ],
      lever: 'The loss asks for',
      choices: { agreement: 'agreement alone', spread: 'agreement and spread' },
      watch: 'Each point is a picture. With agreement alone they fall onto one another.',
    },
    {
      name: 'Four families',
      title: 'Four ways out',
      paragraphs: [
        'Contrastive methods push other pictures away. Clustering gives every group an equal share. Distillation predicts a slower self, through which no gradient flows. Information maximisation writes down what a healthy answer looks like.',
        'Each rules the easy answer out by other means. Here are three of them; the fourth, clustering, is in the command.',
      ],
      lever: 'Family',
      choices: { simclr: 'contrastive', byol: 'distillation', vicreg: 'information' },
      watch: 'The same encoder and the same pictures. Only what keeps them apart differs.',
    },
    {
      name: 'Whitening',
      title: 'Arrange it, then ask',
      paragraphs: [
        'Whitening does not ask for spread: it makes it. Each batch is turned and stretched until every direction has the same variance and no two are related.',
        'So the batch lies all over a sphere, whatever the encoder says, and only agreement is left to ask for. Take it away, and nothing holds the batch up.',
      ],
      lever: 'Whiten each batch',
      choices: { on: 'whitened', off: 'as it comes' },
      watch: 'On the sphere, points of one colour gather; without whitening all of them do.',
    },
    {
      name: 'Cross-correlation',
      title: 'One matrix to read it all from',
      paragraphs: [
        'Barlow Twins compares each dimension of one view with each of the other. On the diagonal a dimension meets itself: there it should be 1, for the views agree.',
        'Off the diagonal two dimensions meet: what stands there is said twice, and should be 0. The lever is how much that counts.',
      ],
      lever: 'Weight off the diagonal',
      choices: {},
      watch: 'Off the diagonal the squares fade as it learns. At 0 they fill again: dimensions repeat each other.',
    },
    {
      name: 'VICReg',
      title: 'Each wish in its own words',
      paragraphs: [
        'VICReg has a term for each wish. Invariance: two views agree. Variance: along every dimension the batch keeps a standard deviation of γ or more. Covariance: no two dimensions say the same.',
        'Each branch is held up by itself, so the two need not share weights. The lever is the weight of the variance term.',
      ],
      lever: 'Weight of the variance term',
      choices: {},
      watch: 'Each bar counts dimensions. The term lifts those left of γ; at 0 nothing does.',
    },
    {
      name: 'What each term does',
      title: 'Take one away',
      paragraphs: [
        'Without variance the cloud falls onto a point. Without covariance it stays wide, but its dimensions become copies of each other. Without invariance it is spread well, and means nothing.',
        'Take a term away, wait some seconds, and put it back. Most of what fell gets up again.',
      ],
      lever: 'Leave out',
      choices: { none: 'nothing', variance: 'variance', covariance: 'covariance', invariance: 'invariance' },
      watch: 'Three pictures of one batch: the cloud, its deviations, its covariance.',
    },
    {
      name: 'Your own images',
      title: 'Now with pictures of yours',
      paragraphs: [
        'Drop some dozens of photographs, and the same encoder learns from them instead, without a label. A few hundred are better.',
        'They stay here. This page has no server of its own, and nothing in it sends them anywhere.',
      ],
      lever: 'Images',
      choices: {},
      watch: 'Choose a point to see what the encoder takes to be like it.',
    },
  ],

  phases: { loading: 'loading', compiling: 'compiling', running: 'training', paused: 'paused', broken: 'stopped' },
  run: 'Train',
  pause: 'Pause',
  step: 'One step',
  restart: 'Restart',
  transport: 'Training',
  atStep: (step, speed) => (speed === null ? `step ${step}` : `step ${step}, ${speed} a second`),
  place: (backend, threads) =>
    backend === 'webgpu'
      ? 'on the GPU'
      : backend === 'cpu'
        ? 'in plain JavaScript'
        : `on ${threads === 1 ? 'one core' : `${threads} cores`}`,
  isolated: 'This page is cross-origin isolated: all cores may work.',
  notIsolated: 'This page is not cross-origin isolated, so one core works.',
  reload: 'Reload to use all cores',
  private: 'Nothing leaves this browser.',

  verdicts: {
    early: 'Too early to tell.',
    healthy: (deviation) => `Healthy: dimensions deviate by ${deviation} on average.`,
    healthyDirections: (directions) => `Healthy: the spread of directions is ${directions}, where 1 is all over the sphere.`,
    collapsedPoint: (value) => `Collapsed: every picture is mapped to nearly the same point (mean deviation ${value}).`,
    collapsedDirection: (value) => `Collapsed: every picture is mapped to nearly the same direction (${value}, where 1 is healthy).`,
    redundant: (value) => `Dimensions repeat each other: their mean correlation is ${value}.`,
    diverged: 'The loss is no number any more. Lower the learning rate and restart.',
  },
  announceRunning: 'Training.',
  announcePaused: 'Paused.',

  method: 'Method',
  methods: {
    vicreg: 'VICReg',
    'barlow-twins': 'Barlow Twins',
    'w-mse': 'W-MSE',
    simclr: 'SimCLR',
    simsiam: 'SimSiam',
    byol: 'BYOL',
  },
  families: {
    vicreg: 'information maximisation',
    'barlow-twins': 'information maximisation',
    'w-mse': 'information maximisation, by whitening',
    simclr: 'contrastive',
    simsiam: 'distillation',
    byol: 'distillation',
  },
  levers: {
    invariance: 'Invariance',
    variance: 'Variance',
    covariance: 'Covariance',
    offDiagonal: 'Off the diagonal',
    temperature: 'Temperature',
    teacherMomentum: 'Teacher’s momentum',
    learningRate: 'Learning rate',
    strength: 'Augmentation',
  },
  leverHelp: {
    invariance: 'how much it counts that two views agree',
    variance: 'how much it counts that each dimension varies',
    covariance: 'how much it counts that no two dimensions repeat each other',
    offDiagonal: 'how much repetition counts beside agreement',
    temperature: 'low looks at the nearest negatives, high at none in particular',
    teacherMomentum: 'the share of itself that the teacher keeps at a step',
    learningRate: 'how far a step goes',
    strength: 'how different two views of a picture are',
  },
  parts: {
    invariance: 'invariance',
    variance: 'variance',
    covariance: 'covariance',
    onDiagonal: 'diagonal',
    offDiagonal: 'off the diagonal',
  },
  loss: 'loss',
  branches: 'Branches',
  branchChoices: { shared: 'shared', separate: 'each its own' },
  stopGradient: 'Stop-gradient',
  whitening: 'Whitening',
  on: 'on',
  off: 'off',
  seed: 'Seed',
  newSeed: 'Another seed',
  batchSize: 'Batch',
  backend: 'Computes on',
  backends: { auto: 'best there is', webgpu: 'GPU', wasm: 'WebAssembly', cpu: 'JavaScript' },
  groups: { method: 'Method', terms: 'Weights', training: 'Training', machine: 'Machine', run: 'This run' },

  share: 'Copy a link to this setting',
  shared: 'The link is copied.',
  shareByHand: 'The browser does not let the page copy; this is the link:',
  save: 'Save the run',
  open: 'Open a run',
  download: 'Download the encoder',
  reset: 'As in the beginning',

  figures: {
    cloud: { title: 'The embedding', caption: 'Each point is a picture, along the three axes in which the embedding varies most.' },
    matrix: { title: 'Covariance', caption: 'Of each dimension with each. Off the diagonal: what is said twice.' },
    correlation: {
      title: 'Cross-correlation',
      caption: 'Each dimension of one view with each of the other. It should be 1 on the diagonal, 0 elsewhere.',
    },
    deviations: { title: 'Deviation', caption: 'How many dimensions have which standard deviation. Left of γ they vary too little.' },
    spectrum: {
      title: 'Spectrum',
      caption:
        'The share of the variance along each principal axis, before any whitening, on a logarithmic scale. A cliff is a dimension lost.',
    },
    terms: { title: 'Loss', caption: 'Its terms, before their weights, step by step, on a logarithmic scale.' },
    rank: { title: 'RankMe', caption: 'How many dimensions are in use.' },
    accuracy: {
      title: 'What it learned',
      caption: 'The share of pictures whose class is told from the features, which never saw a class.',
    },
    neighbours: {
      title: 'Nearest neighbours',
      caption: 'The pictures most like the chosen one, to the encoder before its training and as it is now.',
    },
    views: { title: 'Two views', caption: 'What the encoder is shown: of each picture two views, drawn anew each time.' },
    plan: { title: 'The compiled plan', caption: 'A step of training is one plan, compiled once and replayed. It reads like a listing.' },
  },
  asTable: 'As a table',
  waiting: 'Not measured yet',
  noWebGl: 'No GPU draws for this page, so the processor draws the cloud.',

  cloudLabel: (images, share) => `${images} pictures in three dimensions, which hold ${share} of the variance.`,
  cloudHelp:
    'Drag or use the arrow keys to turn, plus and minus to come nearer or go back. Comma and full stop go through the pictures, Enter chooses one.',
  cloudImages: 'as pictures',
  imageNumber: (image) => `Picture ${image + 1}`,
  imageOf: (image, label) => `Picture ${image + 1}: ${label}`,
  classOnly: 'Classes',
  allClasses: 'all',
  sphereNote: 'directions, on the unit sphere',
  spaceNote: 'the cross has arms of length γ',
  columns: {
    class: 'Class',
    images: 'Pictures',
    distance: 'Its centre from the middle',
    spread: 'Its spread',
    from: 'From',
    to: 'To',
    dimensions: 'Dimensions',
    pair: 'Dimensions',
    value: 'Value',
    axis: 'Axis',
    share: 'Share',
    step: 'Step',
    similarity: 'Similarity',
    kernel: 'Kernel',
    time: 'Time',
    work: 'Work',
    noClass: 'all',
  },
  gamma: 'γ',
  heatLabel: (d, mean) => `A matrix of ${d} by ${d}; off the diagonal its mean magnitude is ${mean}.`,
  deviationsLabel: (mean, below, d) => `Mean deviation ${mean}; ${below} of ${d} dimensions are below half of γ.`,
  spectrumLabel: (rankMe, d) => `About ${rankMe} of ${d} dimensions are in use.`,
  curvesLabel: (names) => `Curves over the steps of training: ${names}.`,
  nearest: 'nearest neighbours',
  probe: 'linear probe',
  chance: (classes) => `by chance ${(100 / classes).toFixed(0)}%`,
  chooseImage: 'Chosen picture',
  previousImage: 'The picture before',
  nextImage: 'The next picture',
  before: 'before',
  now: 'now',
  viewsLabel: (images) => `${images} pictures, and below each two views of it.`,
  view: (number) => `view ${number}`,
  planRead: 'Read the plan',
  planAgain: 'Measure again',
  planSummary: (kernels, fused, work, memory) =>
    `${kernels} kernels, after fusing ${fused} into others; ${work} of arithmetic and ${memory} of memory a step.`,
  planPhases: { views: 'Views', forward: 'Forward', backward: 'Backward', update: 'Update' },
  planUnmeasured: 'Single kernels are not timed here; the share is of arithmetic.',
  planListing: 'The whole listing',
  kernels: (count) => (count === 1 ? '1 kernel' : `${count} kernels`),

  drop: 'Drop images here, or a folder of them',
  dropHere: 'Let go to train on these',
  pick: 'Choose images',
  pickFolder: 'Choose a folder',
  embedded: 'Back to the embedded ones',
  ownCount: (count) => `Training on ${count} images of yours.`,
  stays: 'They are read here, and sent nowhere.',

  notices: {
    noWebAssembly: {
      title: 'This browser has no WebAssembly with SIMD.',
      remedy: 'It trains in plain JavaScript, many times slower. A current browser would do better.',
    },
    noWorker: { title: 'No worker starts here.', remedy: 'It trains on the page’s own thread; the page may stutter.' },
    oneThread: { title: 'One core is at work.', remedy: 'The page is not cross-origin isolated, or may not start workers from blobs.' },
    noGpu: { title: 'There is no GPU for pages here.', remedy: 'It goes on with WebAssembly.' },
    gpuLost: {
      title: 'The GPU was lost.',
      remedy: 'It went on with WebAssembly from the last state that was kept. You can move it back below “Machine”.',
    },
    badImages: { title: 'Some files were no images that can be read.', remedy: 'They were left out.' },
    badRun: {
      title: 'This file is no run that can be opened here.',
      remedy: 'It may be damaged, or of another version. What trained before goes on.',
    },
    noData: { title: 'The embedded images did not come.', remedy: 'Look at the connection and reload, or drop images of your own.' },
    badSetting: { title: 'That setting does not go together.', remedy: 'The one before it still holds.' },
    noMemory: { title: 'Memory ran out.', remedy: 'Close other tabs, or take fewer images or smaller batches, and restart.' },
    storageFull: { title: 'The browser’s storage is full.', remedy: 'All goes on, but the page cannot be kept for use offline.' },
    fault: {
      title: 'Something went wrong in the lab.',
      remedy: 'Restart, or reload the page. If it happens again, please tell us the details.',
    },
    badLink: { title: 'Parts of this link say nothing here.', remedy: 'The rest was taken; for those parts the usual values hold.' },
  },
  details: 'Details',
  dismiss: 'Put away',
  noticesLabel: 'Notices',
  classNames: {},
};
