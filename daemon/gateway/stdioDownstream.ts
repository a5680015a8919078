import type { Readable } from 'node:stream';
import type { ClientConnection } from './clientConnection.ts';
import { LineReader } from './lineReader.ts';
import { errorResponse, parseMessages, rpcCode } from './message.ts';

/** Feeds a client's lines to its connection; resolves when the client has closed its side. */
export function readClient(input: Readable, connection: ClientConnection): Promise<void> {
  const reader = new LineReader(
    line => {
      connection.receive(parseMessages(line), null);
    },
    () =>
      connection.tell(
        errorResponse(null, rpcCode.invalidRequest, 'The message is over 64 MiB, which is the limit'),
        null,
      ),
  );
  return new Promise(resolve => {
    input.on('data', (chunk: Buffer) => reader.push(chunk));
    input.once('end', resolve);
    input.once('close', resolve);
    input.once('error', () => resolve()); // a client that vanished has closed its side too
  });
}
