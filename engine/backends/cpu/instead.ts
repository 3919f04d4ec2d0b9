/** What a cause says that a platform or a page forbids, and what allows it. */
const waysOut: readonly (readonly [sign: RegExp, way: string])[] = [
  [
    /content security policy|unsafe-eval|wasm-unsafe-eval/i,
    "allow it with script-src 'wasm-unsafe-eval' in the page's Content-Security-Policy",
  ],
  [
    /code generation|disallowed by embedder|DecompressionStream/i,
    "have the bundler resolve the condition 'workerd' or 'edge-light', so that the module is compiled at deployment",
  ],
  [/WebAssembly/, 'this platform has no WebAssembly with SIMD'],
];

/** Says once, of a program that chose no backend, that it has the slow one, why, and what it can do. */
export function warnOfCpu(cause: unknown): void {
  const causes = [];
  for (let error = cause; error instanceof Error; error = error.cause) causes.push(error.message);
  const text = causes.join(': ');
  const way = waysOut.find(([sign]) => sign.test(text))?.[1];
  console.warn(
    `tensegrity: plans run on the cpu backend, many times slower than on wasm, since ${text}. ${way ? `${way[0]!.toUpperCase()}${way.slice(1)}; or` : 'To'} choose it without this warning: await useBackend('cpu')`,
  );
}
