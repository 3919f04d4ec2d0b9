/** The memory of all arrays of a message, once each: it goes to who is told, and is not copied. */
export function transferred(message: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const walk = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      // What is shared among threads cannot be given away.
      if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
    } else if (Array.isArray(value)) {
      // Lists of numbers and texts hold none.
      if (typeof value[0] === 'object') value.forEach(walk);
    } else if (typeof value === 'object' && value !== null) Object.values(value).forEach(walk);
  };
  walk(message);
  return [...found];
}
