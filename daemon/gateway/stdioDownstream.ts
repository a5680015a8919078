import type { Readable, Writable } from 'node:stream';
import type { ClientConnection } from './clientConnection.ts';
import { LineReader } from './lineReader.ts';
import { errorResponse, rpcCode } from './message.ts';

const NEWLINE = Buffer.from('\n');

/** Writes one message as a line. */
export function lineWriter(output: Writable): (raw: Buffer) => void {
  return raw => {
    output.write(Buffer.concat([raw, NEWLINE], raw.length + 1));
  };
}

/** Feeds a client's lines to its connection; resolves when the client has closed its side. */
export function readClient(input: Readable, connection: ClientConnection): Promise<void> {
  const reader = new LineReader(
    line => {
      connection.receive(line, null);
    },
    () =>
      connection.send(
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
