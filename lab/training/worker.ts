/** The worker in which the lab trains: a session, and messages. */
import type { Command, Message } from './protocol.ts';
import { Session } from './session.ts';
import { transferred } from './transferred.ts';

const scope = globalThis as unknown as {
  postMessage(message: Message, transfer: readonly Transferable[]): void;
  onmessage: ((event: MessageEvent<Command>) => void) | null;
};
const session = new Session((message) => scope.postMessage(message, transferred(message)), true);
scope.onmessage = ({ data }) => session.receive(data);
