import { userInfo } from 'node:os';

/** The name of the OS user, or its number where it has none. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown'); // a user id without an entry in the user database
  }
}
