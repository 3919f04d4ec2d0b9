import { search } from '../search.mjs';

/** Behind a function URL or an API gateway. */
export async function handler({ body }) {
  return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(await search(JSON.parse(body))) };
}
