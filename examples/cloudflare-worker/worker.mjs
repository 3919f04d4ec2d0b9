import { search } from '../search.mjs';

/** POST { query, items, k } → the nearest. `npx wrangler deploy` */
export default {
  async fetch(request) {
    return Response.json(await search(await request.json()));
  },
};
