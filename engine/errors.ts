/**
 * Every error the package throws on bad input. The message names what was wrong and what would be right;
 * `code` is stable and meant for programs, `details` carries the values that the message quotes.
 */
export type ErrorCode =
  | 'shape' // shapes that do not fit together
  | 'dtype' // an element type that an operation or a backend cannot take
  | 'argument' // any other argument outside its documented range
  | 'disposed' // reading a tensor whose memory was given back
  | 'stale' // an expression whose slots have been updated since it was built, or a gradient through what has lost its history
  | 'backend' // a backend that is missing here, or cannot do what was asked
  | 'format' // a file or buffer that is not what it claims to be
  | 'data' // a data set that is absent or has the wrong content
  | 'storage'; // a disk that is full, read-only, or a path that is missing

/**
 * Text that cannot steer what shows it: control characters but for the end of a line, those that turn the direction of writing, others that are
 * not seen, and halves of characters stand as \u{…}.
 */
export function visible(text: string): string {
  return text.replace(/[^\P{C}\n]|[\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/**
 * Its message is {@link visible} text, whatever names it quotes; `details` hold them as they are. Where two copies of the package may be loaded
 * (two versions, or both bundled and not), `name` and `code` tell one, and not `instanceof`.
 */
export class TensegrityError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(visible(message), cause === undefined ? undefined : { cause });
    this.name = 'TensegrityError';
    this.code = code;
    this.details = details;
  }
}

/** Throws a {@link TensegrityError} unless `condition` holds. */
export function check(condition: unknown, code: ErrorCode, message: () => string): asserts condition {
  if (!condition) throw new TensegrityError(code, message());
}
