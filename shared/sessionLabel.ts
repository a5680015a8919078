import type { Session } from './session.ts';

/** The name to show for a session: its title, else the first line of its purpose, else "client in folder". Never empty. */
export function sessionLabel(
  session: Pick<Session, 'title' | 'purpose' | 'client' | 'workspace' | 'session_id'>,
): string {
  const purpose = session.purpose?.trim().split('\n', 1)[0]?.slice(0, 120);
  const folder = session.workspace === null ? '' : folderName(session.workspace);
  if (session.title) return session.title;
  if (purpose) return purpose;
  if (session.client && folder) return `${session.client} in ${folder}`;
  if (folder) return `Session in ${folder}`;
  return session.client ?? `Session ${session.session_id.slice(0, 13)}`;
}

/** The last part of a POSIX or Windows path; the path itself when it has no parts. */
export function folderName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}
