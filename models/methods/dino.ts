import { concat, type Operand, Tensor } from '../../engine/core.ts';
import { check, checkList, checkNumber, options, sameShape, show } from '../../engine/internal.ts';
import { classRows } from '../evaluate/collapse.ts';
import { gelu, linear, normalize } from '../nn/functional.ts';
import { constant, deriveKey, fansOf, type InitializeOptions, type Initializer, kaimingUniform, normal } from '../nn/initialize.ts';
import { type Mode, Module, ModuleSlot, Parameter } from '../nn/module.ts';
import { MLP } from '../nn/networks.ts';
import { clipByNorm } from '../optim/clip.ts';
import { targetMomentum } from '../optim/schedule.ts';
import { checkEmbedding } from '../regularizers/statistics.ts';
import { arrayLoss } from './arrayLoss.ts';
import { multiCrop, together } from './crops.ts';
import { apart, type LearnedGroup, method, type Outcome, type Setting, type Step } from './learner.ts';
import { choice, LEAST_TEMPERATURE, number, type OptionValues } from './options.ts';
import { TaughtLearner } from './teacher.ts';

export interface DINOOptions {
  /** What the student's outputs are divided by, τ_s, at least .001; .1, unless given. */
  readonly studentTemperature?: number;
  /** What the teacher's are divided by, τ_t, at least .001; .04, unless given. Or a tensor of shape [] that a schedule sets. */
  readonly teacherTemperature?: Operand;
}

/** The loss; it has no parts. */
export type DINOLoss = Readonly<Record<'loss', Tensor>>;

/** @throws TensegrityError `shape`, `dtype`, `argument` naming `what`. */
function checkOutputs(what: string, outputs: readonly Tensor[], centre: Tensor): void {
  checkList(what, outputs);
  for (const output of outputs) {
    checkEmbedding(output, what, 1);
    const first = outputs[0]!.shape;
    check(sameShape(output.shape, first), 'shape', () => `${what} must have one shape, got ${show(first)} and ${show(output.shape)}`);
  }
  check(centre instanceof Tensor, 'argument', () => `${what}: the centre must be a Tensor [d]`);
  const d = outputs[0]?.shape[1];
  check(d === undefined || sameShape(centre.shape, [d]), 'shape', () => `${what}: the centre must be [${d}], got ${show(centre.shape)}`);
}

/**
 * DINO of the student's and the teacher's outputs for crops of the same images, each [n, d]; the i-th of both are of one crop. The teacher's,
 * centred and sharpened, are what the student's are to predict from every other crop: the mean over pairs of different crops and over samples of
 * −Σ_k softmax((t − c)/τ_t)_k · log softmax(s/τ_s)_k. The teacher's outputs and the centre are constants. It is at least the entropy of the
 * teacher's distributions, and ln d for a student that tells nothing apart.
 * (M. Caron et al., ICCV 2021, Eq. 2–3; facebookresearch/dino:main_dino.py, DINOLoss)
 * @param students one for each crop: the teacher's first, then smaller ones, if any.
 * @param centre c, [d]: see {@link dinoCentre}.
 * @throws TensegrityError `shape` for outputs of different shapes, a centre that is not [d], or no pair of different crops, `dtype` for integers,
 * `argument` for an option that is unknown, or a temperature below .001.
 */
export function dino(students: readonly Tensor[], teachers: readonly Tensor[], centre: Tensor, given: DINOOptions = {}): DINOLoss {
  const { studentTemperature, teacherTemperature = 0.04 } = options('dino', given, {
    studentTemperature: 0.1,
    teacherTemperature: undefined,
  });
  checkList("dino: the student's outputs", students);
  checkList("dino: the teacher's outputs", teachers);
  checkOutputs('dino: the outputs', [...students, ...teachers], centre);
  checkNumber('dino: studentTemperature', studentTemperature, LEAST_TEMPERATURE);
  if (!(teacherTemperature instanceof Tensor)) checkNumber('dino: teacherTemperature', teacherTemperature, LEAST_TEMPERATURE);
  const targets = teachers.map((output) => output.sub(centre).div(teacherTemperature).softmax(-1).stopGradient());
  const predictions = students.map((output) => output.div(studentTemperature).logSoftmax(-1));
  const terms = targets.flatMap((q, i) => predictions.flatMap((p, j) => (i === j ? [] : [q.mul(p).sum(-1).mean()])));
  const [first, ...rest] = terms;
  check(
    first,
    'shape',
    () => `dino: needs two crops that differ, got ${students.length} of the student and ${teachers.length} of the teacher`,
  );
  return { loss: rest.reduce((sum, term) => sum.add(term), first).div(-terms.length) };
}

/**
 * The centre [d] for the next step: m·c + (1−m)·mean of the teacher's outputs, over crops and samples, before any softmax. DINO moves it after
 * the loss, so that a batch is not centred by itself. (M. Caron et al., ICCV 2021, Eq. 4)
 * @throws TensegrityError `shape` for outputs of different shapes or a centre that is not [d], `argument` unless the momentum is within 0 … 1.
 */
export function dinoCentre(centre: Tensor, teachers: readonly Tensor[], given: { readonly momentum?: number } = {}): Tensor {
  const { momentum } = options('dinoCentre', given, { momentum: 0.9 });
  checkNumber('dinoCentre: momentum', momentum, 0, 1);
  checkOutputs('dinoCentre: the outputs', teachers, centre);
  check(teachers.length > 0, 'argument', () => 'dinoCentre: needs the outputs of one crop at least');
  return centre.mul(momentum).add(
    concat(teachers)
      .mean(0)
      .stopGradient()
      .mul(1 - momentum),
  );
}

const about = {
  title: 'DINO',
  source: 'M. Caron et al., ICCV 2021; facebookresearch/dino',
} as const;

const studentTemperature = number(0.1, "what the student's outputs are divided by", { least: LEAST_TEMPERATURE });

/** The loss of files: the teacher's outputs for two crops, and the student's for these and any number of others. */
export const dinoOfArrays = () =>
  arrayLoss({
    ...about,
    options: {
      studentTemperature,
      teacherTemperature: number(0.04, "what the teacher's outputs are divided by", { least: LEAST_TEMPERATURE }),
    },
    embeddings: [{ names: ['t1', 't2', 's1', 's2'], more: 's' }],
    state: { centre: { shape: '[d]', description: "of the teacher's outputs" } },
    compute: ([first, second, ...students], given, { centre }) => dino(students, [first!, second!], centre!, given),
  });

const table = {
  studentTemperature,
  teacherTemperature: number(0.04, "what the teacher's outputs are divided by, after its warm-up; below the student's, or it collapses", {
    least: LEAST_TEMPERATURE,
  }),
  firstTeacherTemperature: number(0.04, 'the same at the first step', { least: LEAST_TEMPERATURE, needs: 'temperatureWarmup' }),
  temperatureWarmup: number(0, "part of all steps in which the teacher's temperature moves from the first to the last", { most: 1 }),
  teacherMomentum: number(0.996, 'share of itself that the teacher keeps at the first step; it rises to 1', { most: 1 }),
  centreMomentum: number(0.9, 'share of itself that the centre keeps at a step', { most: 1, needs: 'centring' }),
  centring: choice(['on', 'off'], 'on', "whether the teacher's outputs are centred; without that it collapses"),
  frozenEpochs: number(1, 'epochs before the last layer learns'),
  clipEach: number(3, "norm that each parameter's gradient is scaled down to; 0: none is"),
  headNorm: choice(['none', 'batch'], 'none', "what follows the head's hidden layers: nothing, or batch norm"),
  localCrops: number(8, 'small views of each image beside the two large ones', { whole: true }),
  localSize: number(96, 'their height and width, in pixels', { least: 1, whole: true, needs: 'localCrops' }),
};
type Options = OptionValues<typeof table>;

/** Deviation .02 of 2048 inputs, as published, scaled to as many as there are; biases of 0, so that directions differ from the start. */
const initialize: Initializer = (shape, fans, options) => normal(0.02 * Math.sqrt(2048 / fans.input))(shape, fans, options);

/** [n, inputs] → [n, widths.at(-1)]: layers with GELU between them, then the cosines with the last layer's rows, which have length 1. */
class DINOHead extends Module {
  readonly mlp: MLP;
  readonly lastLayer: Parameter;

  constructor(inputs: number, widths: readonly number[], { key, norm }: InitializeOptions & { readonly norm: boolean }) {
    super();
    check(
      widths.length >= 2,
      'argument',
      () => `DINO: the head needs the widths of a layer and of the output at least, as 256-64-256; got ${widths.join('-')}`,
    );
    this.mlp = new MLP([inputs, ...widths.slice(0, -1)], { key: deriveKey(key, 0), activation: gelu, normalize: norm, initialize });
    const shape = [widths.at(-1)!, widths.at(-2)!];
    this.lastLayer = new Parameter(kaimingUniform(shape, fansOf(shape), { key: deriveKey(key, 1) }), 'last_layer');
  }

  override forward(x: Tensor, mode?: Mode): Tensor {
    return linear(normalize(this.mlp.forward(x, mode)), normalize(this.lastLayer.value));
  }
}

class DINOLearner extends TaughtLearner<DINOHead> {
  /** Of the teacher's outputs. */
  readonly centre: ModuleSlot;
  readonly #options: Options;

  constructor({ encoder, widths, key, options }: Setting<Options>) {
    super(encoder, (inputs) => new DINOHead(inputs, widths, { key: key(0), norm: options.headNorm === 'batch' }));
    this.#options = options;
    this.centre = new ModuleSlot(constant([widths.at(-1)!], 0), 'centre');
  }

  override learned(): readonly LearnedGroup[] {
    return apart(super.learned(), this.head.lastLayer, 'lastLayer');
  }

  override step({ views, at, part }: Step): Outcome {
    const { studentTemperature, centring, centreMomentum, clipEach } = this.#options;
    const students = together(views, (images) => this.student(images));
    const teachers = together(views.slice(0, 2), (images) => this.teacher(images));
    const centre = this.centre.value;
    const teacherTemperature = at['teacherTemperature']!;
    return {
      loss: dino(students, teachers, centre, { studentTemperature, teacherTemperature }).loss,
      parts: {},
      embeddings: students,
      // The targets: what a student of few classes has in common for all images says which these are, and is no collapse.
      watched: classRows(teachers[0]!.sub(centre).div(teacherTemperature)),
      gradients: (gradient) => (clipEach === 0 ? gradient : clipByNorm([gradient], clipEach)[0]!),
      after: () => {
        if (centring === 'on') this.centre.assign(dinoCentre(this.centre.value, teachers, { momentum: centreMomentum }));
        if (part?.last !== false) this.moveTeacher(at['teacherMomentum']!);
      },
    };
  }
}

export const dinoMethod = () =>
  method({
    ...about,
    parts: [],
    perSample: true,
    options: table,
    training: { batchSize: 32, methodOptions: { localCrops: 0, localSize: 12, headNorm: 'batch' } },
    revision: 1,
    widths: [256, 256, 64, 256],
    ablation: { of: 'centring', options: { centring: 'off' } },
    advice: {
      watched: 'targets',
      collapsed: 'leave the centring on (--centring on), keep --teacher-temperature well below --student-temperature, or lower --lr',
      redundant: null,
      epsilon: 0,
    },
    views: (chosen, { localCrops, localSize }) => multiCrop(chosen, { count: localCrops, size: localSize, scale: [0.05, 0.4] }),
    schedules: (
      { teacherTemperature: last, firstTeacherTemperature: first, temperatureWarmup, teacherMomentum, frozenEpochs },
      { steps, stepsPerEpoch },
    ) => ({
      teacherTemperature: (step) => {
        const warmup = temperatureWarmup * steps;
        return step < warmup ? first + ((last - first) * step) / warmup : last;
      },
      teacherMomentum: (step) => targetMomentum(step, { start: teacherMomentum, steps }),
      lastLayer: (step) => (step < frozenEpochs * stepsPerEpoch ? 0 : 1),
    }),
    learner: (setting) => new DINOLearner(setting),
  });
