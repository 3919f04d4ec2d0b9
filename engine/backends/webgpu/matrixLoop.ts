import { components, type Load, loadsOf } from './load.ts';
import type { Loop, Product } from './product.ts';
import { type Gpu, range, type Views, workgroupMemory } from './shader.ts';
import { PADDING, SUBGROUP, type Tile, threadsOf } from './tile.ts';

/** A factor's tile in workgroup memory: rows of 16-bit numbers, along lines or along the inner axis as the factor lies, so that storing needs no turns. */
interface Side extends Load {
  readonly pitch: number;
  readonly length: number;
}

function sideOf(load: Load, depth: number): Side {
  const [row, rows] = load.innerDense ? [depth, load.size] : [load.size, depth];
  const pitch = row + PADDING;
  return { ...load, pitch, length: pitch * rows };
}

/** Where a side has an element, with its pitch as this literal. */
function placeIn({ innerDense }: Side, pitch: string, line: string, inner: string): string {
  return innerDense ? `(${line}) * ${pitch} + ${inner}` : `(${inner}) * ${pitch} + ${line}`;
}

/** A fragment from a line and inner position `k` on. A row-major matrix has lines of the left factor as rows, and inner positions of the right one. */
function fragment(side: Side, line: string, shape: string): string {
  const order = side.innerDense === (side.name === 'left') ? 'row_major' : 'col_major';
  return `subgroupMatrixLoad<subgroup_matrix_${side.name}<f16, ${shape}>, ${order}>(&${side.name}, ${placeIn(side, `${side.pitch}u`, line, 'k')}, ${side.pitch}u)`;
}

/**
 * By matrix units, an experimental extension of Dawn's (chromium_experimental_subgroup_matrix): tiles of both factors pass through workgroup memory as 16-bit
 * numbers, each subgroup multiplies fragments of them and sums in 32 bits. The sums go through workgroup memory to be finished.
 */
export function matrixLoop(product: Product, tile: Tile, views: Views, { unit }: Gpu): Loop {
  const { rows, columns, inner } = unit!;
  const { depth } = tile;
  const sides = loadsOf(product, tile, views, true).map((load) => sideOf(load, depth)) as [Side, Side];
  const [left, right] = sides;
  const subgroups = threadsOf(tile) / SUBGROUP;
  // Each subgroup's part of the tile: two rows of parts.
  const [partRows, partColumns] = [tile.rows / 2, tile.columns / (subgroups / 2)];
  const [down, across] = [range(partRows / rows), range(partColumns / columns)];
  const area = rows * columns;
  const keep = sides.flatMap((side) =>
    side.slots.flatMap(({ inner: k, line, vector }) =>
      components.map((component, i) => {
        const at = placeIn(side, `${side.pitch}`, `${line} + ${(i * side.size) / 4}`, k);
        return `${side.name}[${at}] = ${vector}.${component};`;
      }),
    ),
  );
  const multiply = [
    ...down.map((i) => `let left${i} = ${fragment(left, `partRow + ${i * rows}u`, `${inner}, ${rows}`)};`),
    ...across.map((j) => `let right${j} = ${fragment(right, `partColumn + ${j * columns}u`, `${columns}, ${inner}`)};`),
    ...down.flatMap((i) => across.map((j) => `sum${i}_${j} = subgroupMatrixMultiplyAccumulate(left${i}, right${j}, sum${i}_${j});`)),
  ];
  const finishes = down.flatMap((i) =>
    across.map(
      (j) => `subgroupMatrixStore<row_major>(&sums, subgroup * ${area}u, sum${i}_${j}, ${columns}u);
workgroupBarrier();
for (var k = 0; k < ${area / SUBGROUP}; k++) {
let at = thread % ${SUBGROUP} + k * ${SUBGROUP};
finish(part, batch, firstRow + i32(partRow) + ${i * rows} + at / ${columns}, firstColumn + i32(partColumn) + ${j * columns} + at % ${columns}, sums[i32(subgroup) * ${area} + at]);
}
workgroupBarrier();`,
    ),
  );
  return {
    declarations: workgroupMemory({ left: ['f16', left.length], right: ['f16', right.length], sums: ['f32', subgroups * area] })
      .declarations,
    before: `let partRow = subgroup / ${subgroups / 2}u * ${partRows}u;
let partColumn = subgroup % ${subgroups / 2}u * ${partColumns}u;
${sides.map(({ lines, declare }) => `${lines}\n${declare}`).join('\n')}
${down.flatMap((i) => across.map((j) => `var sum${i}_${j}: subgroup_matrix_result<f32, ${columns}, ${rows}>;`)).join('\n')}`,
    each: `${sides.map(({ load }) => load('start')).join('\n')}
${keep.join('\n')}
workgroupBarrier();
for (var k = 0u; k < ${depth}u; k += ${inner}u) {
${multiply.join('\n')}
}
workgroupBarrier();`,
    after: finishes.join('\n'),
  };
}
