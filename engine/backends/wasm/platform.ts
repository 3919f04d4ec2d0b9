/** What differs between platforms, and is there without threads. */

/** One of Node's own modules, where there is Node: asked for at run time, so that bundlers for browsers find no import to resolve. */
export function nodeModule<Module>(name: string): Module | undefined {
  return typeof process === 'undefined' ? undefined : (process.getBuiltinModule?.(name) as Module | undefined);
}

/** Bytes of text, on any platform; a callback for each character takes five times as long. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** Whether this thread draws an interface and answers its user, so that it must not compute for long. */
export function inPage(): boolean {
  // In this order: platforms of the edge refuse to be asked for Node's modules.
  return typeof document !== 'undefined' && !nodeModule('node:worker_threads');
}
