import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { parseIdx, serializeSafetensors, takeRows } from '../dist/models/core.js';

/** Where the page finds the images, beside itself. */
export const EMBEDDED = 'images.safetensors.gz';

/** As many as are fetched in the second or two that a page may take: those of all are 5 MB. */
const counts = { train: 4096, test: 512 } as const;
const files = { train: 'train', test: 't10k' } as const;
const classes = ['T-shirt', 'trousers', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'];

/** The first images of the repository's Fashion-MNIST and their labels, in one file. The same each time. */
export function embeddedFile(): Uint8Array {
  const read = (name: string) =>
    parseIdx(gunzipSync(readFileSync(new URL(`../data/fashion-mnist-subset/${name}-ubyte.gz`, import.meta.url))));
  const tensors = (Object.keys(counts) as (keyof typeof counts)[]).flatMap((split) => {
    const rows = Array.from({ length: counts[split] }, (_, i) => i);
    const { shape, ...images } = takeRows(read(`${files[split]}-images-idx3`), rows);
    return [
      [`${split}.images`, { ...images, shape: [shape[0]!, 1, ...shape.slice(1)] }] as const,
      [`${split}.labels`, takeRows(read(`${files[split]}-labels-idx1`), rows)] as const,
    ];
  });
  return gzipSync(serializeSafetensors(tensors, [['classes', classes.join('\n')]]));
}

/** Has the page's server, and what is built of it, hold the embedded images. */
export const embedded: Plugin = {
  name: 'embedded-images',
  configureServer(server) {
    const file = embeddedFile();
    server.middlewares.use((request, response, next) => {
      if (new URL(request.url ?? '/', 'http://localhost').pathname !== `/${EMBEDDED}`) return next();
      response.setHeader('content-type', 'application/octet-stream');
      response.end(file);
    });
  },
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: EMBEDDED, source: embeddedFile() });
  },
};
