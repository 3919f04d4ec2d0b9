import { arange, type Key, permutation, Tensor } from '../../engine/index.ts';
import { check, options, show, shown } from '../../engine/internal.ts';
import { normalize } from '../nn/functional.ts';
import { checkEmbedding } from '../regularizers/statistics.ts';

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
 * centroids never falls. It is graph, a function of the points and the key, and makes matrices [n, k]; no gradient goes through it.
 * (I. Dhillon & D. Modha, Machine Learning 42, 2001; facebookresearch/swav:main_deepclusterv2.py, cluster_memory)
 * @param points [n, d]; their directions count.
 * @param clusters how many, whose first centroids are points that the key draws, no point twice; or those centroids, [k, d].
 * @throws TensegrityError `shape`, `dtype`, `argument` for more clusters than points, and for an option that is unknown or out of its range.
 */
export function sphericalKMeans(points: Tensor, clusters: number | Tensor, given: SphericalKMeansOptions = {}): SphericalKMeans {
  const { key, iterations } = options('sphericalKMeans', given, { key: 0, iterations: 10 });
  checkEmbedding(points, 'sphericalKMeans', 1);
  check(
    Number.isSafeInteger(iterations) && iterations >= 0,
    'argument',
    () => `sphericalKMeans: iterations must be a whole number ≥ 0, got ${shown(iterations)}`,
  );
  const rows = normalize(points.stopGradient());
  let centroids = clusters instanceof Tensor ? normalize(checkedCentroids(clusters, points)) : drawn(rows, clusters, key);
  const assign = (): Tensor => rows.matmul(centroids.transpose()).argmax(1);
  for (let i = 0; i < iterations; i++) {
    const members = assign().unsqueeze(1).equal(arange(centroids.shape[0]!)).cast(points.dtype);
    const sums = members.transpose().matmul(rows);
    centroids = members.max(0).unsqueeze(1).where(normalize(sums), centroids);
  }
  return { centroids, assignments: assign() };
}

function drawn(rows: Tensor, clusters: number, key: Key): Tensor {
  const n = rows.shape[0]!;
  check(
    Number.isSafeInteger(clusters) && clusters >= 1 && clusters <= n,
    'argument',
    () => `sphericalKMeans: clusters must be a whole number from 1 to ${n}, the number of points; got ${shown(clusters)}`,
  );
  return rows.take(permutation(n, { key }).narrow(0, 0, clusters));
}

function checkedCentroids(centroids: Tensor, points: Tensor): Tensor {
  checkEmbedding(centroids, 'sphericalKMeans: the centroids', 1);
  const [[n, d], [k]] = [points.shape as [number, number], centroids.shape as [number]];
  check(
    centroids.shape[1] === d && k <= n && centroids.dtype === points.dtype,
    centroids.shape[1] === d && k > n ? 'argument' : 'shape',
    () =>
      `sphericalKMeans: the centroids of ${points.dtype} points ${show(points.shape)} are [k, ${d}] with k from 1 to ${n}, of the same type; got ${centroids.dtype} ${show(centroids.shape)}`,
  );
  return centroids.stopGradient();
}
