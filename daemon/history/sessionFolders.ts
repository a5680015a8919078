import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Invocation } from '../../shared/invocation.ts';
import type { Session } from '../../shared/session.ts';
import {
  ensureFolder,
  errorCode,
  isRealFolder,
  makeFolder,
  placeLink,
  readHead,
  removeFile,
  replaceFile,
  writeNew,
} from './files.ts';
import { sessionFolderName } from './folderName.ts';

const METADATA = 'metadata.json';
const INVOCATION_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Folders remembered; the oldest are looked up again. */
const REMEMBERED = 10_000;

/** The folders of sessions below `.sessions` of a home. */
export class SessionFolders {
  readonly #home: string;
  readonly #root: string;
  readonly #known = new Map<string, string>();

  constructor(home: string) {
    this.#home = home;
    this.#root = join(home, '.sessions');
  }

  /** Makes `.sessions` unless it is there; throws `insecure_home` when it is not a folder. */
  ensureRoot(): void {
    ensureFolder(this.#root);
  }

  /** Makes `invocations/{invocation_id}` of the session lead to the call's folder, wherever it led before. */
  link(session_id: string, invocation_id: string, history_dir: string): void {
    const target = `../../../.history/${history_dir}`;
    const absolute = join(this.#home, '.history', history_dir);
    this.#inFolder(session_id, folder => placeLink(join(folder, 'invocations', invocation_id), target, absolute));
  }

  /** Writes `metadata.json`. */
  writeMetadata(session: Session): void {
    this.#inFolder(session.session_id, folder => {
      replaceFile(folder, METADATA, `${JSON.stringify(session, null, 2)}\n`);
    });
  }

  /**
   * Writes `invocations.json`, an array with a summary a line, and makes the links those of `calls`: adds what is missing
   * of the calls that have a folder, removes those of calls that are in another session by now.
   */
  writeInvocations(session_id: string, calls: () => Iterable<Invocation>): void {
    this.#inFolder(session_id, folder => {
      const links = join(folder, 'invocations');
      const present = new Set(readdirSync(links));
      replaceFile(folder, 'invocations.json', this.#summaries(session_id, calls(), present));
      for (const name of present) if (INVOCATION_ID.test(name)) removeFile(join(links, name));
    });
  }

  /** Takes each call it passes off `present`, and links it when it was not in it. */
  *#summaries(session_id: string, calls: Iterable<Invocation>, present: Set<string>): Generator<string> {
    let chunk = '[';
    let separator = '\n';
    for (const call of calls) {
      if (!present.delete(call.invocation_id) && call.history_dir !== null)
        this.link(session_id, call.invocation_id, call.history_dir);
      chunk += separator + JSON.stringify(call);
      separator = ',\n';
      if (chunk.length < 64 * 1024) continue;
      yield chunk;
      chunk = '';
    }
    yield `${chunk}\n]\n`;
  }

  /** Runs `write` in the session's folder; once more in a new one when the folder was taken away. */
  #inFolder(session_id: string, write: (folder: string) => void): void {
    try {
      write(this.#known.get(session_id) ?? this.#claim(session_id));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      this.#known.delete(session_id);
      this.ensureRoot();
      write(this.#claim(session_id));
    }
  }

  /** Finds or makes the folder. On a file system that ignores case, `abc` and `ABC` get a folder each. */
  #claim(session_id: string): string {
    for (let taken = 0; ; taken++) {
      const folder = join(this.#root, sessionFolderName(session_id, taken));
      if (makeFolder(folder)) {
        // Says at once whose the folder is.
        writeNew(join(folder, METADATA), `{\n  "session_id": "${session_id}"\n}\n`);
      } else {
        if (!isRealFolder(folder)) continue;
        const head = readHead(join(folder, METADATA), 128);
        const owner = head && /^\{\s*"session_id":\s*"([^"]*)"/.exec(head)?.[1];
        if (typeof owner === 'string' && owner !== session_id) continue;
      }
      ensureFolder(join(folder, 'invocations'));
      for (const [name, content] of [
        ['conversation.jsonl', ''],
        ['invocations.json', '[\n]\n'],
      ] as const)
        this.#writeOnce(join(folder, name), content);
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(session_id, folder);
      return folder;
    }
  }

  #writeOnce(path: string, content: string): void {
    try {
      writeNew(path, content);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
}
