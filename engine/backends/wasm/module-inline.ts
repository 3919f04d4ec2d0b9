import type { Build } from './index.ts';

/** The compiled module, from a copy that any bundler can carry. */
export async function loadModule(build: Build): Promise<WebAssembly.Module> {
  const { default: base64 } = build === 'relaxed' ? await import('./generated/relaxed.ts') : await import('./generated/simd.ts');
  return WebAssembly.compile(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
}
