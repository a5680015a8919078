import { decodeFrame, encodeFrame } from './framing.ts';
import { parseClientHeader } from './protocol.ts';

/** Takes the secrets out of a JSON text. */
export type Redact = (text: string) => { text: string; count: number };

/** A record's frame as it may be written to a disk: secrets taken out of its message and its error. */
export function redactFrame(frame: readonly Buffer[], redact: Redact): Buffer[] {
  const whole = frame.length === 1 && frame[0] ? frame[0] : Buffer.concat(frame);
  const decoded = decodeFrame(whole);
  const header = parseClientHeader(decoded.header);
  if (header.t === 'end' && header.end.error_message !== null) {
    const end = { ...header.end, error_message: redact(header.end.error_message).text };
    return encodeFrame(JSON.stringify({ t: 'end', end }), redactBytes(decoded.payload, redact));
  }
  return encodeFrame(decoded.header, redactBytes(decoded.payload, redact));
}

function redactBytes(payload: Buffer, redact: Redact): Buffer {
  const { text, count } = redact(payload.toString('utf8'));
  return count === 0 ? payload : Buffer.from(text);
}
