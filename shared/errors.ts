/**
 * Every error code, with what each surface makes of it: HTTP status, JSON-RPC code (MCP uses -32602 for what the caller
 * can mend and -32603 for what it cannot) and CLI exit status (sysexits.h where one fits).
 */
export const errorTable = {
  invalid_input: { http: 400, rpc: -32602, exit: 2 },
  not_found: { http: 404, rpc: -32602, exit: 3 },
  conflict: { http: 409, rpc: -32602, exit: 4 },
  wrong_transition: { http: 409, rpc: -32602, exit: 4 },
  session_ended: { http: 409, rpc: -32602, exit: 4 },
  unauthorized: { http: 401, rpc: -32001, exit: 77 },
  forbidden: { http: 403, rpc: -32001, exit: 77 },
  too_large: { http: 413, rpc: -32602, exit: 2 },
  unsupported: { http: 415, rpc: -32602, exit: 2 },
  upstream_failed: { http: 502, rpc: -32603, exit: 69 },
  timed_out: { http: 504, rpc: -32001, exit: 75 },
  unavailable: { http: 503, rpc: -32603, exit: 69 },
  insecure_home: { http: 500, rpc: -32603, exit: 78 },
  config_invalid: { http: 500, rpc: -32603, exit: 78 },
  internal: { http: 500, rpc: -32603, exit: 70 },
} as const;

export type ErrorCode = keyof typeof errorTable;

/** An error the user can read: `message` says what was wrong, with the value, and what to do. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
  readonly code: ErrorCode;
  /** Names the log line that has the cause; only `internal` errors carry one. */
  readonly reference: string | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; reference?: string }) {
    super(message, options);
    this.code = code;
    this.reference = options?.reference;
  }
}

/** The body of an error on the wire: `{"error": {"code", "message", "reference"?}}`. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; reference?: string };
}

/** The body that tells of `error`; its cause stays behind. */
export function errorBody(error: DaemonError): ErrorBody {
  const { code, message, reference } = error;
  return { error: { code, message, ...(reference === undefined ? {} : { reference }) } };
}
