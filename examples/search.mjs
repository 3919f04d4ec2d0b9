/** The program of every example: which of the given vectors are most like a query, by cosine. */
import { tensor, topK } from 'tensegrity';

/** `{ query: [d], items: [n, d], k }` → the k nearest items, best first, as `[{ item, score }, …]`. */
export async function search({ query, items, k = 3 }) {
  const unit = (rows) => rows.div(rows.norm(-1, true).maximum(1e-12));
  const scores = unit(tensor(items))
    .matmul(unit(tensor([query])).transpose())
    .flatten();
  const { values, indices } = topK(scores, Math.min(k, items.length));
  const [best, places] = await Promise.all([values.array(), indices.array()]);
  return places.map((item, i) => ({ item, score: best[i] }));
}
