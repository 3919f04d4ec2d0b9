/** All of the engine but the backends: `tensegrity/core`. A program takes one from `tensegrity/backends/…`, and says so by `useBackend`. */
export { grad, hessianVectorProduct, jvp, type TensorsFor, type Variable, vjp } from './autodiff.ts';
export type { Backend, DeviceBuffer, Executable, Storage } from './backends/backend.ts';
export type { BackendName, BackendOptions } from './choices.ts';
export { type Compiled, type CompileOptions, compile } from './compile.ts';
export type { BufferSpec, Kernel, Plan, Program, View } from './compiler/plan.ts';
export { type PrintOptions, printPlan } from './compiler/print.ts';
export { validatePlan } from './compiler/validate.ts';
export type { DType, HostArray, NumericArray, TypedArray } from './dtype.ts';
export { type ErrorCode, TensegrityError } from './errors.ts';
export { type ConvolutionOptions, conv2d, type Pair } from './ops/conv.ts';
export { arange, eye, full, linspace, type NestedArray, ones, type TensorOptions, tensor, zeros } from './ops/create.ts';
export { customGradient, stopGradient } from './ops/gradient.ts';
export { argsort, oneHot, type SortOptions, scatter, scatterAdd, sort, take, takeAlongAxis, topK } from './ops/indexing.ts';
export { cholesky, eigh, lowerTriangle, type TriangularSolveOptions, trace, triangularSolve } from './ops/linalg.ts';
export { matmul } from './ops/matmul.ts';
export { broadcast, concat, diagonal, pad, type SliceIndex, stack } from './ops/movement.ts';
export {
  type AveragePoolOptions,
  adaptiveAveragePool2d,
  averagePool2d,
  maxPool2d,
  maxPool2dWithIndices,
  type PoolOptions,
} from './ops/pool.ts';
export {
  bernoulli,
  foldIn,
  type Key,
  key,
  permutation,
  type RandomOptions,
  randint,
  randn,
  randomBits,
  split,
  uniform,
} from './ops/random.ts';
export type { SumOptions, VarianceOptions } from './ops/reduce.ts';
export { affineGrid, type GridSampleOptions, gridSample } from './ops/sample.ts';
export { cumprod, cumsum, type ScanOptions } from './ops/scan.ts';
export type { SaveOptions } from './plan/save.ts';
export { realize } from './realize.ts';
export { backend, memoryBytes, useBackend } from './runtime.ts';
export type { Shape } from './shape.ts';
export { Slot, slot } from './slot.ts';
export { type Nested, type Operand, Tensor } from './tensor.ts';
export type { Tree } from './trace.ts';
