import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { encodeFrame } from '../../daemon/ipc/framing.ts';
import { ownerId } from '../../daemon/ipc/owner.ts';
import { SpoolFile } from '../../daemon/ipc/spool.ts';
import { replaySpool } from '../../daemon/ipc/spoolReplay.ts';
import { DaemonError } from '../../shared/errors.ts';
import { callEnd, callStart, keepingLog, request, silent, until, withFolder } from './fixtures/calls.ts';
import { RecordingStore } from './fixtures/recordingStore.ts';

// No process has an id this large.
const DEAD = '4999999999-0123456789ab';
const none = { aliveOwners: [], log: silent };

/** Spools the calls named, of which each starts and ends. */
function spool(folder: string, owner: string, names: readonly string[], bytes = 10): string {
  const file = new SpoolFile(folder, owner);
  for (const name of names) {
    file.append(encodeFrame(JSON.stringify({ t: 'start', start: callStart(name, owner) }), request('x'.repeat(bytes))));
    file.append(encodeFrame(JSON.stringify({ t: 'end', end: callEnd(name) }), null));
  }
  file.close();
  return join(folder, `${owner}.spool`);
}

describe('replay of the spool', () => {
  it('writes what a dead owner left in batches of a megabyte, ends what ran, and removes the file', () =>
    withFolder(async folder => {
      const names = Array.from({ length: 50 }, (_, n) => `i${n}`);
      spool(folder, DEAD, names, 300_000);
      const store = new RecordingStore();
      const replay = await replaySpool(folder, store, none);
      assert.deepEqual(
        store.names,
        names.flatMap(name => [`start:${name}`, `end:${name}`]),
      );
      assert.deepEqual(store.interrupted, [DEAD]);
      assert.ok(store.batches.length >= 15 && Math.max(...store.batches) <= 8);
      assert.deepEqual(readdirSync(folder), []);
      assert.deepEqual({ records: replay.records, removed: replay.removed }, { records: 100, removed: 1 });
    }));

  it('leaves the file of a living owner alone', () =>
    withFolder(async folder => {
      const owner = `${process.ppid}-0123456789ab`;
      spool(folder, owner, ['a']);
      const store = new RecordingStore();
      await replaySpool(folder, store, none);
      assert.deepEqual(store.names, []);
      assert.deepEqual(readdirSync(folder), [`${owner}.spool`]);
    }));

  it('writes what a process left that was killed and that nobody has waited for', async function () {
    if (process.platform !== 'linux') this.skip();
    await withFolder(async folder => {
      // A shell that becomes a program which never waits: its child stays a zombie when it is killed.
      const parent = spawn('/bin/sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      try {
        const [line] = await once(parent.stdout, 'data');
        const pid = Number(String(line));
        spool(folder, `${pid}-0123456789ab`, ['a']);
        await until('it waits for no child', () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8') === 'sleep\n');
        process.kill(pid, 'SIGKILL');
        await until('it is a zombie', () => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '));
        const store = new RecordingStore();
        await replaySpool(folder, store, none);
        assert.deepEqual(store.names, ['start:a', 'end:a']);
      } finally {
        parent.kill('SIGKILL');
      }
    });
  });

  it('writes what a process left that had the id of this one, as in a container', () =>
    withFolder(async folder => {
      spool(folder, ownerId(), ['a']);
      const store = new RecordingStore();
      await replaySpool(folder, store, none);
      assert.deepEqual(store.names, ['start:a', 'end:a']);
      assert.deepEqual(readdirSync(folder), []);
    }));

  it('keeps every whole record before a torn end, wherever it is torn', () =>
    withFolder(async folder => {
      const whole = readFileSync(spool(folder, DEAD, ['a', 'b']));
      for (let size = 0; size < whole.length; size += 7) {
        const path = spool(folder, DEAD, ['a', 'b']);
        truncateSync(path, size);
        const store = new RecordingStore();
        const replay = await replaySpool(folder, store, none);
        const kept = ['start:a', 'end:a', 'start:b'].slice(0, store.names.length);
        assert.deepEqual(store.names, kept, `${size} bytes`);
        assert.ok(replay.torn + replay.removed > 0 && replay.bad === 0, `${size} bytes`);
        assert.deepEqual(readdirSync(folder), [], `${size} bytes`);
      }
    }));

  it('passes over a damaged record, keeps the others, and sets the file aside', () =>
    withFolder(async folder => {
      const path = spool(folder, DEAD, ['a', 'b']);
      const bytes = readFileSync(path);
      bytes.write('y', bytes.indexOf('xxx'));
      writeFileSync(path, bytes);
      const store = new RecordingStore();
      const replay = await replaySpool(folder, store, none);
      assert.deepEqual(store.names, ['end:a', 'start:b', 'end:b']);
      assert.equal(replay.corrupt, 1);
      assert.deepEqual(readdirSync(folder), [`${DEAD}.spool.bad`]);
    }));

  it('sets aside what is none of ours, follows no link, and goes on', () =>
    withFolder(async folder => {
      const dir = join(folder, 'spool');
      spool(dir, DEAD, ['a']);
      writeFileSync(join(folder, 'elsewhere'), 'private');
      writeFileSync(join(dir, '4999999998-0123456789ab.spool'), 'garbage of some length');
      writeFileSync(join(dir, 'name.spool'), 'SSPOOL1\n');
      mkdirSync(join(dir, '4999999997-0123456789ab.spool'));
      symlinkSync(join(folder, 'elsewhere'), join(dir, '4999999996-0123456789ab.spool'));
      writeFileSync(join(dir, 'note.txt'), 'mine');
      const store = new RecordingStore();
      const replay = await replaySpool(dir, store, none);
      assert.deepEqual(store.names, ['start:a', 'end:a']);
      assert.equal(replay.bad, 4);
      assert.ok(readdirSync(dir).every(name => name.endsWith('.bad') || name === 'note.txt'));
      assert.equal(readFileSync(join(folder, 'elsewhere'), 'utf8'), 'private');
    }));

  it('keeps the file when the store fails, and says so', () =>
    withFolder(async folder => {
      spool(folder, DEAD, ['a']);
      const store = new RecordingStore();
      store.beforeCommit = () => Promise.reject(new DaemonError('unavailable', 'disk full'));
      const log = keepingLog();
      assert.equal((await replaySpool(folder, store, { aliveOwners: [], log })).failed, 1);
      assert.ok(log.lines.some(line => line.includes('disk full')));
      assert.deepEqual(readdirSync(folder), [`${DEAD}.spool`]);
    }));

  it('does nothing where there is no spool', async () => {
    assert.equal((await replaySpool('/nowhere/at/all', new RecordingStore(), none)).files, 0);
  });
});

describe('a spool file', () => {
  it('is begun anew when it was removed under its owner', () =>
    withFolder(async folder => {
      const file = new SpoolFile(folder, DEAD);
      file.append(encodeFrame('{"n":1}', null));
      unlinkSync(join(folder, `${DEAD}.spool`));
      file.append(encodeFrame(JSON.stringify({ t: 'end', end: callEnd('a') }), null));
      file.close();
      const store = new RecordingStore();
      await replaySpool(folder, store, none);
      assert.deepEqual(store.names, ['end:a']);
    }));

  it('reads back what was appended, from where it was acknowledged', () =>
    withFolder(async folder => {
      const file = new SpoolFile(folder, DEAD);
      const frames = Array.from({ length: 100 }, (_, n) => encodeFrame(`{"n":${n}}`, Buffer.alloc(n * 1000)));
      for (const frame of frames) file.append(frame);
      let at = file.acked;
      const got: Buffer[] = [];
      for (let block = file.read(at); block.frames.length > 0; block = file.read(at)) {
        got.push(...block.frames.map(({ frame }) => frame));
        at = block.next;
      }
      assert.deepEqual(
        got,
        frames.map(frame => Buffer.concat(frame)),
      );
      file.acked = at;
      assert.equal(file.empty, true);
      appendFileSync(join(folder, 'other'), '');
      file.remove();
      assert.deepEqual(readdirSync(folder), ['other']);
    }));
});
