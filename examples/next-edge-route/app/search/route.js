import { search } from '../../../search.mjs';

export const runtime = 'edge';

export async function POST(request) {
  return Response.json(await search(await request.json()));
}
