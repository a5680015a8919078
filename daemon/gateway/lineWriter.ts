import type { Writable } from 'node:stream';

const NEWLINE = Buffer.from('\n');
/** Above this, two buffers in one write are cheaper than a copy. */
const COPIED = 8 * 1024;

/** Writes a message as one line, in one system call. */
export function writeLine(output: Writable, message: Buffer): void {
  if (message.length <= COPIED) {
    output.write(Buffer.concat([message, NEWLINE], message.length + 1));
    return;
  }
  output.cork();
  output.write(message);
  output.write(NEWLINE);
  output.uncork();
}
