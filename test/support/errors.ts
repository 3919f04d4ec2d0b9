import { expect } from 'vitest';
import { type ErrorCode, TensegrityError } from '../../engine/errors.ts';

/** That `action` throws a typed error of this code whose message matches. */
export function expectError(action: () => unknown, code: ErrorCode, message: RegExp): void {
  let caught: unknown;
  try {
    action();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(TensegrityError);
  if (!(caught instanceof TensegrityError)) return;
  expect(caught.code).toBe(code);
  expect(caught.message).toMatch(message);
}
