import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import type { Invocation } from '../../shared/invocation.ts';
import { echoed, fixture, Sessiond, spawnSessiond, until } from '../support/sessiond.ts';

const [command, ...args] = fixture;
const KILLING_MS = 12_000;
const LONGEST_LIFE_MS = 1200;

/** Every call that ended, page by page. */
async function allCalls(home: Sessiond): Promise<Invocation[]> {
  const calls: Invocation[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await home.client.call('invocations_list', {
      limit: 500,
      ...(cursor === undefined ? {} : { cursor }),
    });
    calls.push(...page.items);
    if (page.next_cursor === null) return calls;
    cursor = page.next_cursor;
  }
}

describe('a daemon that is killed again and again', function () {
  this.timeout(90_000);
  let home: Sessiond;
  let folder: string;
  let upstreamLog: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sessiond-test-'));
    upstreamLog = path.join(folder, 'upstream.log');
    home = new Sessiond({ mcpServers: { fixture: { command, args, env: { UPSTREAM_LOG: upstreamLog } } } });
    home.start();
  });
  afterEach(async () => {
    await home.end();
    rmSync(folder, { recursive: true });
  });

  it('loses no call that was answered, runs none twice, and has all of them in .history in the end', async () => {
    const acknowledged = new Set<string>();
    let sent = 0;
    let ending = false;
    const { port, token } = home.discovery();

    const overHttp = async (): Promise<void> => {
      while (!ending) {
        sent += 1;
        const params = { name: 'fixture__echo', arguments: { message: `call ${sent}.` } };
        const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
          },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
        })
          .then(response => response.json())
          .catch(() => null); // the daemon is down, or went down before it answered
        if (answer?.result !== undefined) acknowledged.add(echoed(answer).invocation);
        else await sleep(20);
      }
    };
    const overStdio = async (): Promise<void> => {
      const client = home.wrap([], { UPSTREAM_LOG: upstreamLog });
      await client.initialize();
      while (!ending) {
        sent += 1;
        const answer = await client.call('echo', { message: `call ${sent}.` });
        assert.ok(answer.result, JSON.stringify(answer));
        acknowledged.add(echoed(answer).invocation);
        client.messages.length = 0;
        client.lines.length = 0;
        await sleep(1);
      }
    };
    const writers = [...Array.from({ length: 4 }, overHttp), overStdio(), overStdio()];

    let kills = 0;
    for (const deadline = Date.now() + KILLING_MS; Date.now() < deadline; kills += 1) {
      await sleep(Math.random() * LONGEST_LIFE_MS);
      home.kill();
      await once(spawnSessiond(home, ['start']), 'exit');
    }
    ending = true;
    await Promise.all(writers);
    home.kill();
    home.start();
    assert.ok(kills >= 5 && acknowledged.size > 200, `${kills} kills, ${acknowledged.size} calls`);

    const history = path.join(home.home, '.history');
    await until(
      async () => {
        const { running, invocations } = await home.client
          .call('daemon_status', {})
          .catch(() => ({ running: 1, invocations: 0 }));
        return running === 0 && readdirSync(history).length === invocations ? true : null;
      },
      'every call to have ended and to be in .history',
      30_000,
    );
    const calls = await until(async () => {
      const found = await allCalls(home);
      return found.every(call => call.history_dir !== null) ? found : null;
    }, 'the database to know where each is');
    const byId = new Map(calls.map(call => [call.invocation_id, call]));
    assert.equal(byId.size, calls.length);
    assert.ok(calls.length <= sent, `${calls.length} calls recorded of ${sent}`);
    for (const id of acknowledged) assert.equal(byId.get(id)?.status, 'completed', id);

    const ran = readFileSync(upstreamLog, 'utf8').match(/call \d+\./g) ?? [];
    assert.equal(new Set(ran).size, ran.length);
    const folders = readdirSync(history);
    assert.deepEqual(folders.toSorted(), calls.map(call => call.history_dir ?? '').toSorted());
    for (const { session_id, invocation_id } of calls) {
      if (session_id === null) continue;
      const record = path.join(home.home, '.sessions', session_id, 'invocations', invocation_id, 'record.jsonl');
      assert.ok(existsSync(record), record);
    }

    const { items: sessions } = await home.client.call('sessions_list', { limit: 500 });
    const counted = sessions.reduce((sum, session) => sum + session.total_invocations, 0);
    assert.equal(counted, calls.filter(call => call.session_id !== null).length);
    assert.equal(home.run('stop').status, 0);
    const db = new Database(path.join(home.home, 'sessions.db'));
    assert.deepEqual(db.pragma('quick_check', { simple: true }), 'ok');
    db.close();
  });
});
