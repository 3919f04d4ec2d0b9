/** The import of `memory`, as it stands in the module: name, kind, and limits with a maximum. */
const MEMORY_IMPORT = [6, ...new TextEncoder().encode('memory'), 2, 1];
const SHARED = 3;

/** A module for shared memory differs in one bit of the memory's import, so there is one binary, and the bit is set here. */
export function forSharedMemory(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const at = bytes.findIndex((_, start) => MEMORY_IMPORT.every((byte, i) => bytes[start + i] === byte));
  bytes[at + MEMORY_IMPORT.length - 1] = SHARED;
  return bytes;
}
