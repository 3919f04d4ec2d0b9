/** Prints as JSON what Dawn says of the GPU. */
import { gpu } from '../webgpu.ts';

const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
if (!adapter) {
  console.error('error: no adapter');
  process.exit(1);
}
const { vendor, architecture, device, description } = adapter.info;
const limits = Object.fromEntries(
  (
    [
      'maxBufferSize',
      'maxStorageBufferBindingSize',
      'maxStorageBuffersPerShaderStage',
      'maxComputeWorkgroupStorageSize',
      'maxComputeInvocationsPerWorkgroup',
      'maxComputeWorkgroupsPerDimension',
    ] as const
  ).map((name) => [name, adapter.limits[name]]),
);
const { subgroupMinSize, subgroupMaxSize } = adapter.info;
// Not part of WebGPU yet: the sizes and types that its subgroups multiply.
const configurations = (adapter.info as { readonly subgroupMatrixConfigs?: Iterable<Readonly<Record<string, unknown>>> }).subgroupMatrixConfigs;
const subgroupMatrices = [...(configurations ?? [])].map(({ M, N, K, componentType, resultComponentType }) => `${M}×${N}×${K} ${componentType}→${resultComponentType}`);
const features = [...adapter.features].sort();
console.log(JSON.stringify({ vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize, subgroupMatrices, features, limits }));
process.exit(0);
