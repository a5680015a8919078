import { join } from 'node:path';
import { DaemonError } from '../../shared/errors.ts';
import type { Invocation } from '../../shared/invocation.ts';
import type { Session } from '../../shared/session.ts';
import type { InvocationText } from '../store/sqlite/reader.ts';
import { PARTS } from '../store/sqlite/rows.ts';
import { Place, writeCallFolder } from './callFolder.ts';
import { ensureFolder, errorCode } from './files.ts';
import { lostCalls, type RecentSource } from './recentCalls.ts';
import { SessionFolders } from './sessionFolders.ts';

/** What a pass reads of the store. */
export interface HistorySource extends RecentSource {
  unwrittenTexts(limit: number): Iterable<InvocationText>;
  dirtySessions(limit: number): (Session & { revision: number })[];
  sessionInvocations(session_id: string, afterNum: number, limit: number): (Invocation & { num: number })[];
}

/** What went wrong: `kind` is a system error's code, or the code of a DaemonError. */
export interface HistoryFault {
  readonly kind: string;
  readonly message: string;
}

/** What one step has written, to be marked in the store before the next step. */
export interface StepResult {
  readonly calls: { invocation_id: string; history_dir: string }[];
  readonly sessions: { session_id: string; revision: number }[];
  /** True when there was more to write than a step takes. */
  more: boolean;
  /** When sessions that were written a moment ago are due again; null when none waits. */
  due_in_ms: number | null;
  readonly faults: HistoryFault[];
}

const FEWEST_CALLS = 16;
const MOST_CALLS = 512;
/** Parts are held in memory while they are written: a step that had this much is followed by a smaller one. */
const STEP_CHARACTERS = 4 * 1024 * 1024;
const MOST_SESSIONS = 1000;
const PAGE = 1000;
/** A session's files are written again at the earliest after this, and after this many times what writing them took. */
const REWRITE_MS = 500;
const REWRITE_SHARE = 50;
/** Faults that concern the disk, not one call or session: going on is of no use. */
const OF_THE_DISK = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE']);

/** Writes what the store has and `.history` and `.sessions` of the home lack, a step at a time. */
export class HistoryPass {
  readonly #history: string;
  readonly #source: HistorySource;
  readonly #folders: SessionFolders;
  readonly #waiting = new Map<string, number>();
  #limit = FEWEST_CALLS;
  #place = new Place('');
  #ready = false;
  #mended = false;

  constructor(home: string, source: HistorySource) {
    this.#history = join(home, '.history');
    this.#source = source;
    this.#folders = new SessionFolders(home);
  }

  /** Writes one batch of calls, and the sessions that are due; with `all`, those that would wait too. Never throws. */
  step(all: boolean): StepResult {
    const result: StepResult = {
      calls: [],
      sessions: [],
      more: false,
      due_in_ms: null,
      faults: [],
    };
    try {
      if (!this.#ready) this.#ensureRoots();
      if (!this.#mended) this.#mend(result);
      let count = 0;
      let characters = 0;
      for (const text of this.#source.unwrittenTexts(this.#limit)) {
        this.#writeCall(text, result);
        count++;
        characters += charactersOf(text);
      }
      result.more = count === this.#limit && result.calls.length > 0;
      this.#resize(count, characters);
      // With more calls to come, what a session's files tell would be old at once.
      this.#writeSessions(all && !result.more, result);
    } catch (error) {
      this.#ready = false;
      result.faults.push(faultOf(error));
    }
    return result;
  }

  #ensureRoots(): void {
    ensureFolder(this.#history);
    this.#folders.ensureRoot();
    this.#ready = true;
  }

  /** Once, at the start: what a power cut took. */
  #mend(result: StepResult): void {
    for (const text of lostCalls(this.#history, this.#source)) this.#writeCall(text, result);
    this.#mended = true;
  }

  #writeCall(text: InvocationText, result: StepResult): void {
    const { invocation_id, session_id } = text.invocation;
    this.#attempt(result, () => {
      const history_dir = this.#writeFolder(text);
      result.calls.push({ invocation_id, history_dir });
      // Apart, so that a session's folder that can't be written does not hold up its calls: its links are completed later.
      if (session_id !== null) this.#attempt(result, () => this.#folders.link(session_id, invocation_id, history_dir));
    });
  }

  #writeFolder(text: InvocationText): string {
    const { started_at } = text.invocation;
    if (this.#place.started_at !== started_at) this.#place = new Place(started_at);
    try {
      return writeCallFolder(this.#history, text, this.#place);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      this.#ensureRoots();
      this.#place = new Place(started_at);
      return writeCallFolder(this.#history, text, this.#place);
    }
  }

  #writeSessions(all: boolean, result: StepResult): void {
    const written = new Map(result.calls.map(call => [call.invocation_id, call.history_dir]));
    const dirty = this.#source.dirtySessions(MOST_SESSIONS);
    const begun = performance.now();
    for (const [session_id, due] of this.#waiting) if (due <= begun) this.#waiting.delete(session_id);
    for (const { revision, ...session } of dirty) {
      const { session_id } = session;
      const due = this.#waiting.get(session_id);
      if (due !== undefined && !all) {
        result.due_in_ms = Math.min(result.due_in_ms ?? Number.POSITIVE_INFINITY, due - begun);
        continue;
      }
      this.#attempt(result, () => {
        const start = performance.now();
        let complete = true;
        this.#folders.writeMetadata(session);
        this.#folders.writeInvocations(session_id, () =>
          this.#calls(session_id, call => {
            // Written in this step: the store learns of it afterwards.
            const history_dir = written.get(call.invocation_id) ?? call.history_dir;
            if (history_dir === null && call.ended_at !== null) complete = false;
            return { ...call, history_dir };
          }),
        );
        const end = performance.now();
        this.#waiting.set(session_id, end + Math.max(REWRITE_MS, (end - start) * REWRITE_SHARE));
        if (complete) result.sessions.push({ session_id, revision });
      });
    }
    if (dirty.length === MOST_SESSIONS && result.sessions.length > 0) result.more = true;
  }

  *#calls(session_id: string, show: (call: Invocation) => Invocation): Generator<Invocation> {
    for (let after = 0; ; ) {
      const page = this.#source.sessionInvocations(session_id, after, PAGE);
      for (const { num, ...call } of page) {
        after = num;
        yield show(call);
      }
      if (page.length < PAGE) return;
    }
  }

  #attempt(result: StepResult, write: () => void): void {
    try {
      write();
    } catch (error) {
      const fault = faultOf(error);
      if (OF_THE_DISK.has(fault.kind)) throw error;
      result.faults.push(fault);
    }
  }

  #resize(count: number, characters: number): void {
    if (characters > STEP_CHARACTERS) this.#limit = FEWEST_CALLS;
    else if (count === this.#limit) this.#limit = Math.min(this.#limit * 2, MOST_CALLS);
  }
}

function charactersOf({ parts }: InvocationText): number {
  return PARTS.reduce((sum, part) => sum + (parts[part]?.length ?? 0), 0);
}

/** Names an error by its code, for those who count or compare. */
export function faultOf(error: unknown): HistoryFault {
  const message = error instanceof Error ? error.message : String(error);
  const kind = error instanceof DaemonError ? error.code : (errorCode(error) ?? 'internal');
  return { kind, message };
}
