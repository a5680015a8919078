/** A session id that a caller may choose; ids that sessiond mints are UUIDv7 and fit it too. */
export const SESSION_ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** Says why `value` is no session id, or null when it is one. */
export function sessionIdFault(value: unknown): string | null {
  if (typeof value !== 'string') return `session_id must be a string, not ${value === null ? 'null' : typeof value}`;
  if (SESSION_ID_PATTERN.test(value)) return null;
  const shown = JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  return `session_id ${shown} is malformed: use 1 to 64 of A-Z a-z 0-9 _ -, or leave it out`;
}
