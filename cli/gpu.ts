/** What `tensegrity doctor` says of the GPU. */
import { findGpu, isSoftware } from '../engine/backends/webgpu/device.ts';

interface Feature {
  /** What the project does with it. */
  readonly enables: string;
  /** How to get it where it is missing. */
  readonly remedy: string;
}

const features: Readonly<Record<string, Feature>> = {
  subgroups: {
    enables: 'faster reductions: threads exchange values without workgroup memory',
    remedy: 'a newer driver or browser (Chromium 134) may bring it; results do not depend on it',
  },
  'timestamp-query': {
    enables: 'train --profile: the measured time of each kernel',
    remedy: 'some systems let only a browser started with --enable-unsafe-webgpu measure',
  },
  'shader-f16': {
    enables: "useBackend('webgpu', { f16: true }): half the memory traffic, sums in f32",
    remedy: 'the GPU or its driver has no 16-bit floats in shaders; f32 works everywhere',
  },
  'chromium-experimental-subgroup-matrix': {
    enables: "useBackend('webgpu', { subgroupMatrices: true }): matrix units for products, experimental",
    remedy: 'needs matrix units (tensor cores) and a driver that shows them; in Chromium --enable-unsafe-webgpu',
  },
};

interface Limit {
  readonly unit: 'bytes' | '';
  readonly bounds: string;
}

const limits: Readonly<Record<string, Limit>> = {
  maxStorageBufferBindingSize: { unit: 'bytes', bounds: 'the largest tensor' },
  maxBufferSize: { unit: 'bytes', bounds: 'the largest piece of memory' },
  maxComputeWorkgroupStorageSize: { unit: 'bytes', bounds: 'tiles of products and convolutions' },
  maxComputeInvocationsPerWorkgroup: { unit: '', bounds: 'threads that share a tile' },
  maxStorageBuffersPerShaderStage: { unit: '', bounds: 'arrays in a kernel: 8 are used' },
};

/** An adapter, with what matters here of its features and limits. */
export interface GpuReport {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** A CPU plays the GPU. */
  readonly software: boolean;
  readonly features: Readonly<Record<string, boolean>>;
  readonly limits: Readonly<Record<string, number>>;
}

/** The adapter that the webgpu backend would take; null where there is none. */
export async function inspectGpu(): Promise<GpuReport | null> {
  // With the features that Dawn for Node shows only to options that need them.
  const gpu = await findGpu({ f16: true, subgroupMatrices: true }).catch(() => null);
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return null;
  const { vendor, architecture, description } = adapter.info;
  return {
    vendor,
    architecture,
    description,
    software: isSoftware(adapter.info),
    features: Object.fromEntries(Object.keys(features).map((name) => [name, adapter.features.has(name)])),
    limits: Object.fromEntries(Object.keys(limits).map((name) => [name, Number(adapter.limits[name as keyof GPUSupportedLimits])])),
  };
}

/** One line: who made it, and whether it is one at all. */
export function gpuTitle({ vendor, architecture, description, software }: GpuReport): string {
  const name = [vendor, architecture].filter(Boolean).join(' ') || 'unnamed';
  const described = description && description !== name ? `${name} (${description})` : name;
  return software ? `${described}: a CPU that plays GPU: software, slow, right for tests only` : described;
}

/** Its features and limits, and what they are good for. */
export function gpuRows(report: GpuReport): (readonly [string, string])[] {
  const had = Object.entries(features).map(([name, { enables, remedy }]): readonly [string, string] =>
    report.features[name] ? [`✓ ${name}`, enables] : [`✗ ${name}`, `for ${enables}. Missing: ${remedy}`],
  );
  const bounds = Object.entries(limits).map(([name, { unit, bounds: what }]): readonly [string, string] => [
    `  ${name}`,
    `${unit === 'bytes' ? bytes(report.limits[name]!) : report.limits[name]} (${what})`,
  ]);
  return [...had, ...bounds];
}

/** A number of bytes as people read it: 32 KiB, 1.5 GiB. */
function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${Number((count / 1024 ** power).toFixed(1))} ${units[power]}`;
}

/** What to do where the webgpu backend finds no adapter. */
export function gpuRemedy(platform: NodeJS.Platform): string {
  if (platform !== 'linux') return 'Update the graphics driver.';
  return "On Linux WebGPU needs Vulkan: libvulkan.so.1 (Debian's libvulkan1) and the GPU's driver (NVIDIA's own; mesa-vulkan-drivers for AMD and Intel); VK_ICD_FILENAMES can name a driver's .json, also that of SwiftShader, a CPU that plays GPU";
}
