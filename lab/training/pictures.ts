import { type Compiled, compile, eigh, foldIn, type HostArray, key, type Tensor, tensor } from 'tensegrity';
import {
  augmentation,
  augmentations,
  covarianceMatrix,
  crossCorrelation,
  functional,
  type ImageDataset,
  type Learner,
  methodNamed,
  rankMe,
} from 'tensegrity/models';
import type { MessageOf, Neighbour, Setting } from './protocol.ts';

/** What an embedding is in, by what its method compares. */
type Geometry = MessageOf<'cloud'>['geometry'];

/** VICReg and Barlow Twins look at dimensions; the others at directions (of whitened rows, in W-MSE). */
const geometryOf = ({ method }: Setting): Geometry => (method === 'vicreg' || method === 'barlow-twins' ? 'space' : 'sphere');

/** Rows whose deviation of 1 is health: as they are where the loss asks for that, else as directions. */
function healthyRows(method: Setting['method'], z: Tensor): Tensor {
  return methodNamed(method).advice.watched === 'deviation' ? z : functional.normalize(z).mul(Math.sqrt(z.shape[1]!));
}

/** The first of ascending values, the last columns of vectors: in descending order. */
function principal(matrix: Tensor): { values: Tensor; vectors: Tensor } {
  const { values, vectors } = eigh(matrix);
  return { values: values.flip(0), vectors: vectors.flip(1) };
}

const floats = async (x: Tensor): Promise<Float32Array<ArrayBuffer>> => Float32Array.from(await x.data());

type Batch = { readonly deviations: Tensor; readonly matrix: Tensor; readonly spectrum: Tensor };
type Cloud = { readonly features: Tensor; readonly embedding: Tensor; readonly points: Tensor; readonly values: Tensor };

/** What a message of a batch holds of its embeddings. */
export type BatchPicture = Pick<MessageOf<'batch'>, 'deviations' | 'gamma' | 'matrix' | 'matrixOf' | 'spectrum'>;
export type CloudPicture = Pick<MessageOf<'cloud'>, 'geometry' | 'points' | 'share' | 'rankMe' | 'dimensions'>;

/** Of each image of the strip. */
const VIEWS = 2;

/** The pictures of one run. Each is a plan of its own, which only runs when it is looked at. */
export class PictureMaker {
  readonly #setting: Setting;
  readonly #shown: Tensor;
  readonly #batch: Compiled<[za: Tensor, zb: Tensor], Batch>;
  readonly #cloud: Compiled<[images: Tensor], Cloud>;
  readonly #features: Compiled<[images: Tensor], Tensor>;
  readonly #views: Compiled<[images: Tensor, step: Tensor, strength: Tensor], readonly Tensor[]>;
  /** The points of the last picture, which the next is turned towards. */
  #points: Float32Array | null = null;

  constructor(setting: Setting, learner: Learner, { mean, deviation }: ImageDataset, shown: HostArray) {
    this.#setting = setting;
    this.#shown = tensor(shown);
    const channel = (values: readonly number[]): Tensor => tensor(values).reshape([values.length, 1, 1]);
    const scaled = (images: Tensor): Tensor => images.cast('f32').div(255).sub(channel(mean)).div(channel(deviation));
    const { method } = setting;
    const whitened = method === 'w-mse' && setting.whitening;
    this.#batch = compile((za, zb) => {
      const rows = healthyRows(method, za);
      const covariance = covarianceMatrix(rows);
      return {
        deviations: rows.std(0),
        matrix: method === 'barlow-twins' ? crossCorrelation(za, zb) : covariance,
        spectrum: principal(covariance).values,
      };
    });
    const draw = augmentation(augmentations.strong[0]);
    this.#views = compile((images, step, strength) => {
      const units = images.cast('f32').div(255);
      const drawn = foldIn(key(setting.seed), step);
      // Bytes are cut, not rounded.
      return Array.from({ length: VIEWS }, (_, i) => draw(units, foldIn(drawn, i), strength).mul(255).add(0.5).cast('u8'));
    });
    this.#features = compile((images) => learner.encoder.forward(scaled(images)));
    this.#cloud = compile((images) => {
      const inputs = scaled(images);
      const features = learner.encoder.forward(inputs);
      // Every learner of the lab's methods compares embeddings of views.
      const embedding = learner.embed(inputs, 0)!;
      const centred = embedding.sub(embedding.mean(0, true));
      // Directions are from the origin; whitened rows are from their mean, each axis in units of its deviation.
      const rows = geometryOf(setting) === 'space' || whitened ? centred : functional.normalize(embedding);
      const { values, vectors } = principal(
        rows
          .transpose()
          .matmul(rows)
          .div(rows.shape[0]! - 1),
      );
      const axes = Math.min(3, rows.shape[1]!);
      const coordinates = rows.matmul(vectors.narrow(1, 0, axes));
      const points = whitened ? coordinates.div(values.narrow(0, 0, axes).maximum(1e-12).sqrt()) : coordinates;
      return { features, embedding, points, values };
    });
  }

  /** Of the latest step's embeddings. */
  async batch(za: Tensor, zb: Tensor): Promise<BatchPicture> {
    const { deviations, matrix, spectrum } = await this.#batch(za, zb);
    const [deviationsNow, matrixNow, spectrumNow] = await Promise.all([deviations, matrix, spectrum].map(floats));
    for (const each of [deviations, matrix, spectrum]) each.dispose();
    return {
      deviations: deviationsNow!,
      gamma: 1,
      matrix: matrixNow!,
      matrixOf: this.#setting.method === 'barlow-twins' ? 'crossCorrelation' : 'covariance',
      spectrum: spectrumNow!,
    };
  }

  /** Of the shown images, as the learner is now; with their features, [shown, width]. */
  async cloud(): Promise<{ readonly picture: CloudPicture; readonly features: HostArray }> {
    const { features, embedding, points, values } = await this.#cloud(this.#shown);
    const [featuresNow, embeddingNow, raw, variances] = await Promise.all([
      features.toHost(),
      embedding.toHost(),
      points.toHost(),
      floats(values),
    ]);
    for (const each of [features, embedding, points, values]) each.dispose();
    const geometry = geometryOf(this.#setting);
    const count = raw.shape[0]!;
    const flat = inThree(raw);
    const turned = turnedTowards(flat, this.#points ?? flat);
    if (geometry === 'sphere') toLengthOne(turned);
    this.#points = turned.slice();
    const total = variances.reduce((sum, value) => sum + Math.max(0, value), 0);
    const shown = variances.subarray(0, 3).reduce((sum, value) => sum + Math.max(0, value), 0);
    return {
      picture: {
        geometry,
        points: turned,
        share: total > 0 ? shown / total : 1,
        // Of a single image, or none that is finite, there is no rank.
        rankMe: count > 1 && embeddingNow.data.every(Number.isFinite) ? rankMe(embeddingNow) : NaN,
        dimensions: embeddingNow.shape[1]!,
      },
      features: featuresNow,
    };
  }

  /** The encoder's features of images. */
  async features(images: HostArray): Promise<HostArray> {
    using features = await this.#features(tensor(images));
    return await features.toHost();
  }

  /** Views of images, as a step draws them at a strength. */
  async views(images: HostArray, step: number, strength: number): Promise<readonly HostArray[]> {
    const views = await this.#views(tensor(images), tensor(step, { dtype: 'i32' }), tensor(strength));
    const bytes = await Promise.all(views.map((view) => view.toHost()));
    for (const each of views) each.dispose();
    return bytes;
  }

  dispose(): void {
    for (const each of [this.#batch, this.#cloud, this.#features, this.#views]) each.dispose();
    this.#shown.dispose();
  }
}

/** Points [n, d ≤ 3] as [n, 3]. */
function inThree({ shape: [n, d], data }: HostArray): Float32Array<ArrayBuffer> {
  const points = new Float32Array(3 * n!);
  for (let i = 0; i < n!; i++) for (let j = 0; j < d!; j++) points[3 * i + j] = data[i * d! + j]!;
  return points;
}

function toLengthOne(points: Float32Array): void {
  for (let at = 0; at < points.length; at += 3) {
    const length = Math.hypot(points[at]!, points[at + 1]!, points[at + 2]!) || 1;
    for (let j = at; j < at + 3; j++) points[j]! /= length;
  }
}

type Matrix = readonly (readonly number[])[];

/**
 * Points turned (and mirrored) about the origin to where they are nearest to the last ones: axes are only defined up to that, and a picture that jumps from step to step is
 * none. The rotation is the orthogonal factor of Xᵀ·Y. (P. Schönemann, Psychometrika 1966)
 */
export function turnedTowards(points: Float32Array, last: Float32Array): Float32Array<ArrayBuffer> {
  const product: number[][] = [0, 1, 2].map(() => [0, 0, 0]);
  for (let at = 0; at < points.length; at += 3)
    for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) product[i]![j]! += points[at + i]! * last[at + j]!;
  const rotation = orthogonalFactor(product);
  const turned = new Float32Array(points.length);
  for (let at = 0; at < points.length; at += 3)
    for (let j = 0; j < 3; j++) for (let i = 0; i < 3; i++) turned[at + j]! += points[at + i]! * rotation[i]![j]!;
  return turned;
}

const identity: Matrix = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

/** The orthogonal factor U·Vᵀ of a 3×3 matrix U·S·Vᵀ, by Newton's iteration; the identity where the matrix is (nearly) singular. (N. Higham, SIAM J. Sci. Stat. Comput. 1986) */
function orthogonalFactor(matrix: Matrix): Matrix {
  let x = matrix;
  for (let i = 0; i < 60; i++) {
    const cofactors = cofactorsOf(x);
    const determinant = x[0]!.reduce((sum, value, j) => sum + value * cofactors[0]![j]!, 0);
    const size = norm(x);
    if (!(Math.abs(determinant) > 1e-12 * size ** 3)) return identity;
    // X⁻ᵀ is the matrix of cofactors over the determinant; scaled so that both halves are of one size.
    const scale = Math.sqrt(norm(cofactors) / Math.abs(determinant) / size);
    const next = x.map((row, r) => row.map((value, c) => 0.5 * (scale * value + cofactors[r]![c]! / determinant / scale)));
    const moved = norm(next.map((row, r) => row.map((value, c) => value - x[r]![c]!)));
    x = next;
    if (moved < 1e-9) break;
  }
  return x;
}

function norm(matrix: Matrix): number {
  return Math.sqrt(matrix.flat().reduce((sum, value) => sum + value * value, 0));
}

function cofactorsOf(m: Matrix): Matrix {
  const at = (r: number, c: number): number => m[(r + 3) % 3]![(c + 3) % 3]!;
  return [0, 1, 2].map((r) => [0, 1, 2].map((c) => at(r + 1, c + 1) * at(r + 2, c + 2) - at(r + 1, c + 2) * at(r + 2, c + 1)));
}

/** The nearest rows to one of them, by cosine, the nearest first. */
export function nearestTo({ shape, data }: HostArray, row: number, count: number): Neighbour[] {
  const [n, d] = shape as [number, number];
  const lengths = new Float64Array(n);
  for (let i = 0; i < n; i++) lengths[i] = Math.hypot(...data.subarray(i * d, (i + 1) * d)) || 1;
  const similarity = (image: number): number => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += data[row * d + j]! * data[image * d + j]!;
    return sum / lengths[row]! / lengths[image]!;
  };
  return Array.from({ length: n }, (_, image) => image)
    .filter((image) => image !== row)
    .map((image) => ({ image, similarity: similarity(image) }))
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, count);
}
