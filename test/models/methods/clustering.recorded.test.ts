import {
  type DeepClusterOptions,
  deepCluster,
  type SinkhornOptions,
  type SphericalKMeansOptions,
  sinkhorn,
  sphericalKMeans,
  swav,
} from '../../../models/index.ts';
import { replayFamily } from '../recorded.ts';

replayFamily('clustering', {
  sinkhorn: ([scores], attributes) => ({ outputs: [sinkhorn(scores!, attributes as SinkhornOptions)] }),
  swav: (inputs, { views: count, queue, ...options }) => {
    const views = inputs.slice(0, count as number);
    const [prototypes, earlier] = inputs.slice(views.length);
    return { outputs: [swav(views, prototypes!, { ...options, queues: queue ? [earlier!.slice(0), earlier!.slice(1)] : [] }).loss] };
  },
  deepCluster: ([z, prototypes, assignments], attributes) => ({
    outputs: [deepCluster(z!, prototypes!, assignments!, attributes as DeepClusterOptions).loss],
  }),
  sphericalKMeans: ([points, first], attributes) => {
    const { centroids, assignments } = sphericalKMeans(points!, first!, attributes as SphericalKMeansOptions);
    return { outputs: [centroids, assignments] };
  },
});
