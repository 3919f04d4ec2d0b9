import { useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Neighbour } from '../../training/protocol.ts';
import { atlas } from '../images.ts';
import { className, percent, texts } from '../locale.ts';
import { choose, chosen, data, neighbours, views } from '../state.ts';
import { Thumbnail } from './cloud.tsx';
import { classNameOf } from './curves.tsx';
import { Figure, Table, Waiting } from './figure.tsx';

/** Some images, and under each the two views that the encoder is shown of it. */
export function Views({ most = 8, quiet = false }: { readonly most?: number; readonly quiet?: boolean }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const draw = (): void => {
    const [shown, target] = [views.value, canvas.current];
    if (!shown || !target) return;
    const rows = [shown.images, ...shown.views];
    const { width, height } = shown.images;
    const count = Math.min(most, shown.images.count);
    const gap = Math.max(1, Math.round(width / 14));
    target.width = count * (width + gap) - gap;
    target.height = rows.length * (height + gap) + gap;
    const context = target.getContext('2d')!;
    rows.forEach((row, i) => {
      const strip = atlas(row, row.count);
      // Views may be of another size than the images.
      const scale = width / row.width;
      for (let j = 0; j < count; j++) {
        const top = i * (height + gap) + (i > 0 ? gap : 0);
        context.drawImage(strip, j * row.width, 0, row.width, row.height, j * (width + gap), top, width, row.height * scale);
      }
    });
  };
  useSignalEffect(draw);
  useEffect(draw, [views.value === null, most]);
  const count = Math.min(most, views.value?.images.count ?? 0);
  return (
    <Figure name="views" quiet={quiet}>
      {views.value ? <canvas ref={canvas} class="strip" role="img" aria-label={texts.value.viewsLabel(count)} /> : <Waiting />}
    </Figure>
  );
}

function Row({ title, row }: { readonly title: string; readonly row: readonly Neighbour[] }): JSX.Element {
  return (
    <div class="row">
      <h3>{title}</h3>
      <ul class="plain">
        {row.map(({ image }) => (
          <li key={image}>
            <button type="button" class="bare" onClick={() => choose(image)}>
              <Thumbnail image={image} size={56} edge />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The images that are most like the chosen one, before training and now. */
export function Neighbours({ quiet = false }: { readonly quiet?: boolean }): JSX.Element {
  const { before, now, chooseImage, previousImage, nextImage, columns } = texts.value;
  const last = neighbours.value;
  const count = data.value?.shown.count ?? 0;
  const name = classNameOf(data.value?.labels[chosen.value]);
  const title = (image: number): string => {
    const label = data.value?.classes[data.value.labels[image] ?? -1];
    return `${image + 1}${label === undefined ? '' : `, ${className(label)}`}`;
  };
  const table = (): JSX.Element | null =>
    last && (
      <Table
        columns={['', before, columns.similarity, now, columns.similarity]}
        rows={last.now.map((each, i) => {
          const former = last.before[i];
          return [
            String(i + 1),
            former ? title(former.image) : '',
            former ? percent(former.similarity) : '',
            title(each.image),
            percent(each.similarity),
          ];
        })}
      />
    );
  return (
    <Figure name="neighbours" quiet={quiet} table={table}>
      {count > 0 ? (
        <div class="neighbours">
          <div class="chosen">
            <Thumbnail image={chosen.value} size={112} edge />
            <p>
              <button type="button" class="round" aria-label={previousImage} onClick={() => choose((chosen.value + count - 1) % count)}>
                ‹
              </button>
              <span>
                <span class="unseen">{chooseImage}: </span>
                {name ?? texts.value.imageNumber(chosen.value)}
              </span>
              <button type="button" class="round" aria-label={nextImage} onClick={() => choose((chosen.value + 1) % count)}>
                ›
              </button>
            </p>
          </div>
          {last && last.image === chosen.value ? (
            <div>
              <Row title={before} row={last.before.slice(0, 6)} />
              <Row title={now} row={last.now.slice(0, 6)} />
            </div>
          ) : (
            <Waiting />
          )}
        </div>
      ) : (
        <Waiting />
      )}
    </Figure>
  );
}
