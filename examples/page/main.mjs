import { search } from '../search.mjs';

// Bundled to main.js, as by: npx esbuild main.mjs --bundle --format=esm --splitting --outdir=.
const found = await search({
  query: [1, 0, 2],
  items: [
    [1, 0, 2],
    [0, 1, 0],
    [2, 1, 1],
  ],
  k: 2,
});
document.querySelector('output').textContent = JSON.stringify(found);
