/** POST a PNG → the images of an index that are most like it: see README.md for how encoder.plan, index.npy and names.txt are made. */
import { parseNpy } from 'tensegrity/models/core';
import { loadPlan } from 'tensegrity/plan';
import plan from './encoder.plan';
import index from './index.npy';
import names from './names.txt';
import { imageSearch } from './search.mjs';

let search;

export default {
  async fetch(request) {
    if (request.method !== 'POST') return new Response('POST a PNG\n', { status: 405, headers: { allow: 'POST' } });
    // Made once, by the first request: at the top of a worker nothing may take long.
    search ??= loadPlan(plan).then((embed) => imageSearch(embed, parseNpy(index), names.trim().split('\n')));
    try {
      return Response.json(await (await search)(new Uint8Array(await request.arrayBuffer())));
    } catch (error) {
      if (error instanceof TypeError) return new Response(`${error.message}\n`, { status: 400 });
      throw error;
    }
  },
};
