import { search } from '../search.mjs';

// deno serve --allow-read --allow-env main.mjs
export default {
  async fetch(request) {
    return Response.json(await search(await request.json()));
  },
};
