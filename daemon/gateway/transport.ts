/** What an upstream connection tells the link that owns it. */
export interface TransportEvents {
  /** One message, without the line's end. */
  readonly onMessage: (raw: Buffer) => void;
  /** A message over the limit was thrown away; `head` is how it began. */
  readonly onOversize: (head: Buffer) => void;
  /** The connection is gone and was not closed by us; `reason` says how it went, for a person to read. */
  readonly onClose: (reason: string) => void;
}

/** A live connection to an upstream: messages in, messages out, nothing interpreted. */
export interface Transport {
  send(message: Buffer): void;
  /** The negotiated version, which HTTP repeats in a header. */
  setProtocolVersion(version: string): void;
  /** Ends it: politely first, by force when that takes too long. `urgent` skips the polite part. */
  close(urgent: boolean): Promise<void>;
  /** Process id of a stdio upstream, null for others. */
  readonly pid: number | null;
}
