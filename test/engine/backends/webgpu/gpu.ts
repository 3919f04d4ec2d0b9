import type { Backend } from '../../../../engine/backends/backend.ts';
import { createWebGpuBackend } from '../../../../engine/backends/webgpu/index.ts';
import { capability } from '../../../support/capabilities.ts';

const opened: Backend | Error = await createWebGpuBackend().catch((error: Error) => error);

/** The GPU that Node finds here, or null: then tests of it are recorded as skipped. */
export const gpu: Backend | null = opened instanceof Error ? null : opened;

capability('webgpu', gpu !== null, opened instanceof Error ? opened.message : '');
