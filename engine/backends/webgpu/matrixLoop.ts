import { components, type Load, loadsOf } from './load.ts';
import type { Loop, Product } from './product.ts';
import { type Gpu, range, type Views, workgroupMemory } from './shader.ts';
import { PADDING, SUBGROUP, type Tile, threadsOf } from './tile.ts';

/** A factor's tile in workgroup memory: rows of 16-bit numbers, along lines or along the inner axis as the factor lies, so that storing needs no turns. */
function layoutOf({ innerDense, size }: Load, depth: number): { readonly pitch: number; readonly length: number } {
  const pitch = (innerDense ? depth : size) + PADDING;
  return { pitch, length: pitch * (innerDense ? size : depth) };
}

/**
 * By matrix units, an experimental extension of Dawn's (chromium_experimental_subgroup_matrix): tiles of both factors pass through workgroup memory as 16-bit
 * numbers, each subgroup multiplies fragments of them and sums in 32 bits. The sums go through workgroup memory to be finished.
 */
export function matrixLoop(product: Product, tile: Tile, views: Views, { unit }: Gpu): Loop {
  const { rows, columns, inner } = unit!;
  const { depth } = tile;
  const loads = loadsOf(product, tile, views, true);
  const [left, right] = loads.map((load) => layoutOf(load, depth)) as [ReturnType<typeof layoutOf>, ReturnType<typeof layoutOf>];
  const subgroups = threadsOf(tile) / SUBGROUP;
  // Each subgroup's part of the tile: two rows of parts.
  const [partRows, partColumns] = [tile.rows / 2, tile.columns / (subgroups / 2)];
  const [down, across] = [range(partRows / rows), range(partColumns / columns)];
  const area = rows * columns;
  const keep = loads.flatMap((load) => {
    const { pitch } = layoutOf(load, depth);
    return load.slots.flatMap((slot) =>
      components.map((component, i) => {
        const line = `${slot.line} + ${(i * load.size) / 4}`;
        const at = load.innerDense ? `(${line}) * ${pitch} + ${slot.inner}` : `(${slot.inner}) * ${pitch} + ${line}`;
        return `${load.name}[${at}] = ${slot.vector}.${component};`;
      }),
    );
  });
  // A row-major matrix has lines of the left factor as rows, and inner positions of the right one.
  const fragment = (side: 'left' | 'right', { pitch }: { readonly pitch: number }, turned: boolean, line: string, shape: string) => {
    const order = turned === (side === 'left') ? 'col_major' : 'row_major';
    const at = turned ? `k * ${pitch}u + ${line}` : `(${line}) * ${pitch}u + k`;
    return `subgroupMatrixLoad<subgroup_matrix_${side}<f16, ${shape}>, ${order}>(&${side}, ${at}, ${pitch}u)`;
  };
  const multiply = [
    ...down.map((i) => `let a${i} = ${fragment('left', left, !loads[0].innerDense, `partRow + ${i * rows}u`, `${inner}, ${rows}`)};`),
    ...across.map(
      (j) => `let c${j} = ${fragment('right', right, !loads[1].innerDense, `partColumn + ${j * columns}u`, `${columns}, ${inner}`)};`,
    ),
    ...down.flatMap((i) => across.map((j) => `sum${i}_${j} = subgroupMatrixMultiplyAccumulate(a${i}, c${j}, sum${i}_${j});`)),
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
${loads.map(({ lines, declare }) => `${lines}\n${declare}`).join('\n')}
${down.flatMap((i) => across.map((j) => `var sum${i}_${j}: subgroup_matrix_result<f32, ${columns}, ${rows}>;`)).join('\n')}`,
    each: `${loads.map(({ load }) => load('start')).join('\n')}
${keep.join('\n')}
workgroupBarrier();
for (var k = 0u; k < ${depth}u; k += ${inner}u) {
${multiply.join('\n')}
}
workgroupBarrier();`,
    after: finishes.join('\n'),
  };
}
