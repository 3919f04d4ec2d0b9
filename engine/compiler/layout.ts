import type { Node } from '../graph.ts';
import { contiguousStrides, type Shape, sizeOf } from '../shape.ts';

/** How a strided window lies on a buffer; offset and strides count elements. */
export interface Layout {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

export function contiguous(shape: Shape): Layout {
  return { shape, strides: contiguousStrides(shape), offset: 0 };
}

/** Whether the layout is row-major from the buffer's start, with axes of size 1 having any stride. */
export function isContiguous({ shape, strides, offset }: Layout): boolean {
  if (offset !== 0) return false;
  if (sizeOf(shape) === 0) return true;
  const expected = contiguousStrides(shape);
  return shape.every((dimension, axis) => dimension === 1 || strides[axis] === expected[axis]);
}

/** The layout after a movement, or null where it cannot be had without copying, or the node is no movement. */
export function moved(node: Node, layout: Layout): Layout | null {
  const { shape, strides, offset } = layout;
  if (node.is('permute')) {
    const { axes } = node.attributes;
    return { shape: node.shape, strides: axes.map((axis) => strides[axis]!), offset };
  }
  if (node.is('expand')) {
    const added = node.shape.length - shape.length;
    return {
      shape: node.shape,
      strides: node.shape.map((dimension, axis) =>
        axis < added || (shape[axis - added] === 1 && dimension !== 1) ? 0 : strides[axis - added]!,
      ),
      offset,
    };
  }
  if (node.is('slice')) {
    const { start, step } = node.attributes;
    return {
      shape: node.shape,
      strides: strides.map((stride, axis) => stride * step[axis]!),
      offset: strides.reduce((at, stride, axis) => at + stride * start[axis]!, offset),
    };
  }
  if (node.is('flip')) {
    const { axes } = node.attributes;
    const last = axes.reduce((at, axis) => at + strides[axis]! * Math.max(0, shape[axis]! - 1), offset);
    return { shape, strides: strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride)), offset: last };
  }
  if (node.is('reshape')) return reshaped(layout, node.shape);
  return null;
}

/** The layout seen as another shape, if strides can express it. */
export function reshaped({ shape, strides, offset }: Layout, target: Shape): Layout | null {
  if (sizeOf(target) === 0) return { shape: target, strides: contiguousStrides(target), offset };
  // Runs of axes that lie on one line: each is split into a run of target axes.
  const runs = mergedRuns(shape, strides);
  const result = new Array<number>(target.length).fill(0);
  let run = runs.length - 1;
  let left = run >= 0 ? runs[run]!.size : 1;
  let stride = run >= 0 ? runs[run]!.stride : 1;
  for (let axis = target.length - 1; axis >= 0; axis--) {
    const dimension = target[axis]!;
    if (dimension === 1) continue;
    if (left === 1) {
      run--;
      if (run < 0) return null;
      ({ size: left, stride } = runs[run]!);
    }
    if (left % dimension !== 0) return null;
    result[axis] = stride;
    stride *= dimension;
    left /= dimension;
  }
  return { shape: target, strides: result, offset };
}

function mergedRuns(shape: Shape, strides: readonly number[]): { size: number; stride: number }[] {
  const runs: { size: number; stride: number }[] = [];
  shape.forEach((dimension, axis) => {
    if (dimension === 1) return;
    const previous = runs.at(-1);
    if (previous && previous.stride === strides[axis]! * dimension) {
      previous.size *= dimension;
      previous.stride = strides[axis]!;
    } else runs.push({ size: dimension, stride: strides[axis]! });
  });
  return runs;
}

export interface Located {
  /** The node whose value is in memory. */
  readonly base: Node;
  readonly layout: Layout;
}

/** Where a node's value is: the node that is in memory, and how to look at it. Movements are looked through as far as strides allow. */
export function locator(): (node: Node) => Located {
  const memo = new Map<Node, Located>();
  return (node) => {
    const path: Node[] = [];
    let start = node;
    for (; isMovement(start) && !memo.has(start); start = start.inputs[0]!) path.push(start);
    let located = memo.get(start) ?? whole(start);
    memo.set(start, located);
    for (const movement of path.reverse()) {
      const layout = moved(movement, located.layout);
      located = layout ? { base: located.base, layout } : whole(movement);
      memo.set(movement, located);
    }
    return located;
  };
}

function whole(base: Node): Located {
  return { base, layout: contiguous(base.shape) };
}

export function isMovement(node: Node): boolean {
  return node.op === 'reshape' || node.op === 'permute' || node.op === 'expand' || node.op === 'slice' || node.op === 'flip';
}
