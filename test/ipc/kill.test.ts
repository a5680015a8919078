import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DaemonLink } from '../../daemon/ipc/daemonLink.ts';
import { ownerId } from '../../daemon/ipc/owner.ts';
import { SocketRecorder } from '../../daemon/ipc/socketRecorder.ts';
import { readCalls } from './fixtures/callStore.ts';
import { callEnd, callStart, redact, request, silent, until, withFolder } from './fixtures/calls.ts';

const fixture = (name: string) => new URL(`fixtures/${name}.ts`, import.meta.url).pathname;

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function startDaemon(folder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fixture('daemonChild'), folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

describe('when a process is killed', () => {
  it('the daemon, again and again: every record of a living stdio process is committed once, in the end', () =>
    withFolder(async folder => {
      const owner = ownerId();
      let daemon: Promise<ChildProcess> | null = null;
      let starts = 0;
      const link = new DaemonLink({
        owner,
        locate: () => ({ socketPath: join(folder, 'd.sock'), token: 'token' }),
        startDaemon: () => {
          starts++;
          daemon = startDaemon(folder);
        },
        log: silent,
      });
      const spoolDir = join(folder, 'spool');
      const recorder = new SocketRecorder({ link, owner, spoolDir, durability: 'process', redact, log: silent });
      let calls = 0;
      const work = setInterval(() => {
        for (let n = 0; n < 3; n++) {
          const id = randomUUID();
          calls++;
          void recorder.start(callStart(id, owner), request('x'.repeat(calls % 97 === 0 ? 100_000 : 200)));
          void recorder.end(callEnd(id), request('y'));
        }
      }, 1);
      try {
        for (let round = 0; round < 4; round++) {
          await until('a daemon runs', () => recorder.state.connected);
          await sleep(1100 + Math.random() * 300);
          const running = await daemon;
          assert.ok(running);
          await kill(running);
          await until('the link is down', () => !recorder.state.connected);
        }
        clearInterval(work);
        await until('all is acknowledged', () => recorder.state.queued === 0 && !recorder.state.spooled && link.open);
      } finally {
        clearInterval(work);
        await recorder.close();
        const running = await daemon;
        if (running) await kill(running);
      }
      assert.equal(starts, 5);
      const { statuses, counted } = readCalls(folder);
      assert.ok(calls > 1000);
      assert.equal(statuses.size, calls);
      assert.equal(counted, calls, 'each counts once in its session');
      assert.deepEqual([...new Set(statuses.values())], ['completed']);
    })).timeout(60_000);

  it('a stdio process: all that it had handed over is committed, and what still ran is ended', () =>
    withFolder(async folder => {
      const daemon = await startDaemon(folder);
      try {
        const said: string[] = [];
        for (let round = 0; round < 8; round++) {
          const client = spawn(process.execPath, [fixture('clientChild'), folder], {
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          let text = '';
          client.stdout.on('data', chunk => {
            text += chunk;
          });
          await until('calls were made', () => text.length > 0);
          await sleep(Math.random() * 60);
          client.kill('SIGKILL');
          await once(client, 'close');
          said.push(...text.split('\n').slice(0, -1));
        }
        const running = () => [...readCalls(folder).statuses.values()].includes('running');
        await until('what ran is ended', () => !running());
        const { statuses, counted } = readCalls(folder);
        for (const line of said) {
          const [kind, id = ''] = line.split(' ');
          const status = statuses.get(id);
          if (kind === 'end') assert.equal(status, 'completed', line);
          else assert.ok(status === 'completed' || status === 'interrupted', line);
        }
        assert.ok(said.length > 100);
        assert.equal(counted, statuses.size);
        assert.ok([...statuses.values()].includes('interrupted'));
      } finally {
        await kill(daemon);
      }
    })).timeout(60_000);

  it('a stdio process without a daemon: the next daemon has what it spooled, and ends what ran', () =>
    withFolder(async folder => {
      const first = await startDaemon(folder);
      const client = spawn(process.execPath, [fixture('clientChild'), folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      client.stdout.on('data', chunk => {
        text += chunk;
      });
      let second: ChildProcess | null = null;
      try {
        await until('calls were made', () => text.length > 5000);
        await kill(first);
        const before = text.split('\n').slice(0, -1);
        const last = before.at(-1)?.split(' ')[1] ?? '';
        const spool = join(folder, 'spool');
        const spooled = () => (existsSync(spool) ? readdirSync(spool) : []).map(name => join(spool, name));
        await until('all that was said is spooled', () => spooled().some(file => readFileSync(file).includes(last)));
        await kill(client);
        second = await startDaemon(folder);
        await until('the spool is replayed', () => spooled().length === 0);
        const { statuses } = readCalls(folder);
        for (const line of before) {
          const [kind, id = ''] = line.split(' ');
          assert.ok(kind === 'start' ? statuses.has(id) : statuses.get(id) === 'completed', line);
        }
        assert.ok(statuses.size > before.length / 2);
        assert.ok(![...statuses.values()].includes('running'));
      } finally {
        await kill(client);
        await kill(first);
        if (second) await kill(second);
      }
    })).timeout(60_000);
});
