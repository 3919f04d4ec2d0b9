import { printedTables, type StudyResults } from '../study/results.ts';

/** The page of a study: its tables. */
export function comparePage(results: StudyResults): string {
  const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(results.title)}</title>
<h1>${escaped(results.title)}</h1><pre>${escaped(printedTables(results))}</pre></html>
`;
}
