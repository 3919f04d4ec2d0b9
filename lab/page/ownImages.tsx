import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { Button } from './controls.tsx';
import { chosenFiles, type Given } from './files.ts';
import { texts } from './locale.ts';
import { data, notice, open, useImages } from './state.ts';

/** What was given is trained on, or opened if it is a run. */
export async function take({ images, labels, run }: Given): Promise<void> {
  if (run) open(new Uint8Array(await run.arrayBuffer()));
  else if (images.length > 0) useImages(images, labels);
  else notice('badImages', 'There is no image among these files: PNG, JPEG, WebP, GIF, BMP and AVIF are taken.');
}

/** Where images are dropped or chosen; the whole page takes what is dropped on it. */
export function OwnImages(): JSX.Element {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const { drop, pick, pickFolder, embedded, ownCount, stays } = texts.value;
  const chosen = ({ currentTarget }: { readonly currentTarget: HTMLInputElement }): void => {
    const given = chosenFiles(currentTarget.files ?? []);
    currentTarget.value = '';
    void take(given);
  };
  const own = data.value?.name === 'own' ? data.value : null;
  return (
    <div class="own">
      <p class="zone">{own ? ownCount(own.count) : drop}</p>
      <p class="buttons">
        <Button onClick={() => files.current?.click()}>{pick}</Button>
        <Button onClick={() => folder.current?.click()}>{pickFolder}</Button>
        {own && <Button onClick={() => useImages([])}>{embedded}</Button>}
      </p>
      <p class="small">{stays}</p>
      <input ref={files} type="file" accept="image/*" multiple hidden onChange={chosen} aria-label={pick} />
      <input
        ref={(element) => {
          folder.current = element;
          element?.setAttribute('webkitdirectory', '');
        }}
        type="file"
        hidden
        onChange={chosen}
        aria-label={pickFolder}
      />
    </div>
  );
}
