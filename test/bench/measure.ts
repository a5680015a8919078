import { readdirSync, readFileSync } from 'node:fs';
import type { Caller } from './callers.ts';

/** The value below which the fraction `q` of the sample lies. */
export function quantile(sample: readonly number[], q: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** CPU time of processes in microseconds, all threads; NaN where the system has no /proc. */
export function cpuMicros(pids: readonly number[]): number {
  let nanos = 0;
  for (const pid of pids) {
    try {
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
      }
    } catch {
      return Number.NaN;
    }
  }
  return nanos / 1000;
}

/** Ms of each of `calls` calls, one after the other. */
export async function sample(caller: Caller, calls: number, text: string): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < calls; i += 1) {
    const began = performance.now();
    await caller.call(text);
    times.push(performance.now() - began);
  }
  return times;
}

/** Waits until processes have nothing left to do: under a hundredth of a core for half a second. */
async function settled(pids: readonly number[]): Promise<void> {
  for (let i = 0; i < 60; i += 1) {
    const before = cpuMicros(pids);
    await new Promise(resolve => setTimeout(resolve, 500));
    if (!(cpuMicros(pids) - before > 5000)) return;
  }
}

export interface Comparison {
  readonly directP50: number;
  readonly ourP50: number;
  readonly ourP99: number;
  /** Median over the pairs of blocks of our p50 by the direct one's, measured in the same second. */
  readonly ratio: number;
  /** CPU of our processes a call in microseconds, with all that they write behind the answer. */
  readonly cpu: number;
}

/** Alternates blocks of direct and our calls, so that what else the machine does falls on both alike. */
export async function compare(
  direct: Caller,
  ours: Caller,
  options: { readonly blocks: number; readonly calls: number; readonly text: string; readonly pids: readonly number[] },
): Promise<Comparison> {
  const { blocks, calls, text, pids } = options;
  await sample(direct, calls, text);
  await sample(ours, calls, text);
  await settled(pids);
  const before = cpuMicros(pids);
  const ratios: number[] = [];
  const all = { direct: [] as number[], ours: [] as number[] };
  const measured = async (): Promise<number> => {
    const times = await sample(ours, calls, text);
    all.ours.push(...times);
    return quantile(times, 0.5);
  };
  const plain = async (): Promise<number> => {
    const times = await sample(direct, calls, text);
    all.direct.push(...times);
    return quantile(times, 0.5);
  };
  for (let i = 0; i < blocks; i += 1) {
    const [first, second] = i % 2 === 0 ? [await plain(), await measured()] : [await measured(), await plain()];
    ratios.push(i % 2 === 0 ? second / first : first / second);
  }
  await settled(pids);
  return {
    directP50: quantile(all.direct, 0.5),
    ourP50: quantile(all.ours, 0.5),
    ourP99: quantile(all.ours, 0.99),
    ratio: quantile(ratios, 0.5),
    cpu: (cpuMicros(pids) - before) / (blocks * calls),
  };
}
