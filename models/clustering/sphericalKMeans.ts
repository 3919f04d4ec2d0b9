import { concat, type Key, ones, permutation, scatterAdd, Tensor } from '../../engine/core.ts';
import { check, options, show, shown } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { checkEmbedding } from '../regularizers/statistics.ts';
import { checkIterations } from './sinkhorn.ts';

/** So many cosines are there at once, at most: 16 MiB of f32. */
const COSINES = 2 ** 22;

export interface SphericalKMeansOptions {
  /** What the first centroids are drawn from; 0, unless given. */
  readonly key?: Key;
  /** 10, unless given. */
  readonly iterations?: number;
}

export interface SphericalKMeans {
  /** [k, d], each of length 1. */
  readonly centroids: Tensor;
  /** The centroid of greatest cosine with each point, i32 [n]; of equals, the first. */
  readonly assignments: Tensor;
}

/**
 * Spherical k-means: each of `iterations` times, every point goes to the centroid of greatest cosine, and each centroid becomes the direction
 * of its points' sum; one without points stays as it is. At the end points are assigned once more. The sum of the points' cosines with their
 * centroids never falls. It is graph, a function of the points and the key, and no gradient goes through it; cosines with all centroids are of some
 * points at a time ({@link COSINES}), so that memory grows with n·d and not with n·k.
 * (I. Dhillon & D. Modha, Machine Learning 42, 2001; facebookresearch/swav:main_deepclusterv2.py, cluster_memory)
 * @param points [n, d]; their directions count.
 * @param clusters how many, whose first centroids are points that the key draws, no point twice; or those centroids, [k, d].
 * @throws TensegrityError `shape`, `dtype`, `argument` for more clusters than points, and for an option that is unknown or out of its range.
 */
export function sphericalKMeans(points: Tensor, clusters: number | Tensor, given: SphericalKMeansOptions = {}): SphericalKMeans {
  const { key, iterations } = options('sphericalKMeans', given, { key: undefined, iterations: 10 });
  checkEmbedding(points, 'sphericalKMeans', 1);
  checkIterations('sphericalKMeans', iterations);
  const rows = normalize(points.stopGradient());
  let centroids = clusters instanceof Tensor ? normalize(checkedCentroids(clusters, points)) : drawn(rows, clusters, key ?? 0);
  const [n, d, k] = [rows.shape[0]!, rows.shape[1]!, centroids.shape[0]!];
  const many = Math.max(1, Math.floor(COSINES / k));
  const parts = Array.from({ length: Math.ceil(n / many) }, (_, i) => rows.narrow(0, i * many, Math.min(many, n - i * many)));
  const assign = (): Tensor => concat(parts.map((part) => part.matmul(centroids.transpose()).argmax(1)));
  for (let i = 0; i < iterations; i++) {
    const members = assign();
    const sums = scatterAdd(rows, members.unsqueeze(1).expand([n, d]), 0, k);
    const counts = scatterAdd(ones([n], points.dtype), members, 0, k);
    centroids = counts.greater(0).unsqueeze(1).where(normalize(sums), centroids);
  }
  return { centroids, assignments: assign() };
}

/** Points of which no two are the same one. */
function drawn(rows: Tensor, clusters: number, key: Key): Tensor {
  checkCount(clusters, rows);
  return rows.take(permutation(rows.shape[0]!, { key }).narrow(0, 0, clusters));
}

function checkedCentroids(centroids: Tensor, points: Tensor): Tensor {
  checkEmbedding(centroids, 'sphericalKMeans: the centroids', 1);
  const [k, d] = centroids.shape;
  check(
    d === points.shape[1],
    'shape',
    () => `sphericalKMeans: centroids of points ${show(points.shape)} must be [k, ${points.shape[1]}], got ${show(centroids.shape)}`,
  );
  check(
    centroids.dtype === points.dtype,
    'dtype',
    () => `sphericalKMeans: points and centroids must have one type, got ${points.dtype} and ${centroids.dtype}`,
  );
  checkCount(k, points);
  return centroids.stopGradient();
}

function checkCount(clusters: unknown, { shape: [n] }: Tensor): void {
  check(
    Number.isSafeInteger(clusters) && Number(clusters) >= 1 && Number(clusters) <= n!,
    'argument',
    () => `sphericalKMeans: clusters must be a whole number from 1 to ${n}, the number of points; got ${shown(clusters)}`,
  );
}
