import * as mode from './modes';
import { AXIS_BYTES } from './sizes';
import { divideUp, shape, stride, word } from './view';
import * as words from './words';

/** Rounds towards −∞. */
// @ts-ignore: decorator
@inline
function divideDown(a: i32, b: i32): i32 {
  return a < 0 ? -divideUp(-a, b) : a / b;
}

/** One axis of a convolution: which source positions the taps of a target position read (the table in conv.ts), and where these lie. */
@unmanaged export class Axis {
  /** Extents. */
  targets: i32;
  sources: i32;
  taps: i32;
  targetStep: i32;
  sourceStep: i32;
  base: i32;
  delta: i32;
  kernelStride: i32;
  /** The first source position that target positions before the first step read, and how many there are from it to their last. */
  first: i32;
  span: i32;
  /** Steps, and phases that have any. */
  steps: i32;
  phases: i32;
  /** Source position q, counted from the first that a block has, lies at `(q % deals · dealt + q / deals) · pitch`, in elements. */
  deals: i32;
  dealt: i32;
  pitch: i32;
  /** Of the taps of a phase, where each is in the kernel and in the source, in elements; how many there are; and its steps. */
  kernelTaps: usize;
  sourceTaps: usize;
  tapsOfPhase: i32;
  stepsOfPhase: i32;

  /** @param axis 0, of rows, or 1, of columns, whose words are the next. */
  describe(command: usize, axis: i32, source: usize, target: usize, kernel: usize): void {
    if (offsetof<Axis>() > <usize>AXIS_BYTES) ERROR('AXIS_BYTES');
    const step = word(command, words.CONV_STRIDE_HEIGHT + axis), pad = word(command, words.CONV_PADDING_HEIGHT + axis);
    const dilation = word(command, words.CONV_DILATION_HEIGHT + axis), direction = word(command, words.CONV_DIRECTION);
    const isInput = direction == mode.INPUT_GRADIENT;
    this.targets = shape(target, 2 + axis);
    this.sources = shape(source, 2 + axis);
    this.taps = shape(kernel, 2 + axis);
    this.kernelStride = stride(kernel, 2 + axis);
    this.targetStep = isInput ? step : 1;
    this.sourceStep = isInput ? 1 : step;
    this.base = isInput ? pad : -pad;
    this.delta = isInput ? -dilation : dilation;
    const reach = dilation * (this.taps - 1);
    this.first = isInput ? divideDown(pad - reach, step) : -pad;
    this.span = (isInput ? (pad + step - 1) / step : reach - pad) - this.first + 1;
    this.steps = divideUp(this.targets, this.targetStep);
    // Those beyond the image have no pixels.
    this.phases = direction == mode.WEIGHT_GRADIENT ? 1 : min(this.targetStep, this.targets);
  }

  /** Has its tables from an address on, and gives that behind them. */
  setTables(tables: usize): usize {
    const bytes = <usize>this.taps << 2;
    this.kernelTaps = tables;
    this.sourceTaps = tables + bytes;
    return tables + 2 * bytes;
  }

  /** How many source positions so many steps read, from the first one on. */
  @inline
  read(steps: i32): i32 {
    return (steps - 1) * this.sourceStep + this.span;
  }

  /** Whether all that is read is inside the image. */
  @inline
  get isInside(): bool {
    return this.first >= 0 && this.first + this.read(this.steps) <= this.sources;
  }

  /** Begins a phase of those target positions that leave it as a remainder. */
  enter(phase: i32): void {
    const targetStep = this.targetStep, delta = this.delta, deals = this.deals;
    this.stepsOfPhase = divideUp(this.targets - phase, targetStep);
    let count: usize = 0;
    for (let u = 0, base = phase + this.base; u < this.taps; u++, base += delta) {
      if (base % targetStep != 0) continue;
      const position = base / targetStep - this.first;
      store<i32>(this.kernelTaps + (count << 2), u * this.kernelStride);
      store<i32>(this.sourceTaps + (count << 2), (position % deals * this.dealt + position / deals) * this.pitch);
      count++;
    }
    this.tapsOfPhase = <i32>count;
  }
}
