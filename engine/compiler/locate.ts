import type { Node } from '../graph.ts';
import { contiguous, type Layout, reshaped } from './layout.ts';

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
