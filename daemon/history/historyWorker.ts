import { parentPort, workerData } from 'node:worker_threads';
import * as z from 'zod';
import { openSqliteReader } from '../store/sqlite/reader.ts';
import { yieldTo } from '../threadPriority.ts';
import { faultOf, HistoryPass, type StepResult } from './historyPass.ts';

const options = z
  .object({ home: z.string(), file: z.string(), blobDir: z.string().nullable(), nativeBinding: z.string().optional() })
  .parse(workerData);

let pass: HistoryPass | null = null;

/** Each message asks for one step, `all` or not; each is answered by a StepResult. */
parentPort?.on('message', (all: boolean) => parentPort?.postMessage(step(all)));

function step(all: boolean): StepResult {
  try {
    pass ??= openPass();
    return pass.step(all);
  } catch (error) {
    return { calls: [], sessions: [], more: false, due_in_ms: null, faults: [faultOf(error)] };
  }
}

function openPass(): HistoryPass {
  yieldTo(5);
  const { home, file, blobDir, nativeBinding } = options;
  const binding = nativeBinding === undefined ? {} : { nativeBinding };
  return new HistoryPass(home, openSqliteReader({ file, blobDir, ...binding }));
}
