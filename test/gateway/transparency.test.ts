import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { RawClient, type RawMessage } from '../support/rawClient.ts';
import { echoed, fixture, Sessiond } from '../support/sessiond.ts';

const KEYS = /"dev\.sessiond\/(?:session|invocation)_id":"[^"]*",?/g;
/** The line without what the echo adds, so that the rest can be compared byte by byte. */
const withoutEcho = (line: string): string => line.replace(KEYS, '').replace(/"_meta":\{\},?/, '');

describe('wrap, before an upstream that a test wrote byte by byte', () => {
  let home: Sessiond;
  let wrapped: RawClient;
  let direct: RawClient;
  let log: string;
  const seenByUpstream = (): RawMessage[] =>
    readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as RawMessage);

  before(async () => {
    home = new Sessiond();
    log = path.join(home.folder, 'upstream.log');
    home.start();
    direct = new RawClient(fixture[0] ?? '', fixture.slice(1));
    wrapped = home.wrap([], { UPSTREAM_LOG: log });
    await Promise.all([direct.initialize(), wrapped.initialize()]);
  });
  after(async () => {
    await direct.close();
    await home.end();
  });

  const both = async (ask: (client: RawClient) => Promise<RawMessage>): Promise<[string, string, RawMessage]> => {
    await ask(direct);
    const answer = await ask(wrapped);
    return [direct.lines.at(-1) ?? '', wrapped.lines.at(-1) ?? '', answer];
  };

  it('passes the answer to initialize on as it is, unknown capabilities and serverInfo fields included', () => {
    assert.deepEqual(wrapped.messages[0], direct.messages[0]);
  });

  it('passes tools/list on with session_id added to schemas and nothing else changed', async () => {
    const [plain, ours] = await both(client => client.request('tools/list'));
    const session = /"session_id":\{"type":"string","description":"Session this call[^}]*\}/g;
    const injected = ours.replace(session, '').replaceAll(',"properties":{}', '').replace(/,\}/g, '}');
    assert.equal(injected, plain.replaceAll(',"properties":{}', ''));
    assert.equal(ours.match(session)?.length, 14);
  });

  for (const [tool, args] of [
    ['echo', { message: 'héllo "\u2028" 𝒳' }],
    ['numbers', {}],
    ['fail', {}],
    ['garbage', {}],
    ['big', { bytes: 3_000_000 }],
  ] as const) {
    it(`passes the result of ${tool} on byte for byte, the echo in _meta apart`, async () => {
      const [plain, ours] = await both(client => client.call(tool, args));
      assert.ok(withoutEcho(ours) === plain, `${ours.slice(0, 500)} is not ${plain.slice(0, 500)}`);
      assert.match(ours, KEYS);
    });
  }

  it('passes error code and data on byte for byte', async () => {
    const [plain, ours] = await both(client => client.call('rpc_error'));
    assert.equal(ours, plain);
  });

  it('passes unknown methods on, with their params as they were written', async () => {
    const line = '{"jsonrpc":"2.0","id":9000,"method":"vendor/unknown","params":{"n":1.0,"big":12345678901234567890}}';
    wrapped.write(line);
    await wrapped.until(message => message.id === 9000);
    const seen = readFileSync(log, 'utf8')
      .split('\n')
      .find(each => each.includes('vendor/unknown'));
    assert.match(seen ?? '', /"params":\{"n":1\.0,"big":12345678901234567890\}/);
  });

  it('relays progress before its answer, and a request of the upstream to the client and back', async () => {
    await wrapped.call('progress', {}, { progressToken: 'p-1' });
    const progress = wrapped.messages.filter(message => message.method === 'notifications/progress');
    assert.deepEqual(
      progress.map(message => [message.params?.progressToken, message.params?.progress]),
      [
        ['p-1', 1],
        ['p-1', 2],
      ],
    );

    const asked = wrapped.call('ask');
    const request = await wrapped.until(message => message.method === 'sampling/createMessage');
    wrapped.write({
      jsonrpc: '2.0',
      id: request.id,
      result: { role: 'assistant', model: 'm', content: { type: 'text', text: 'yes' } },
    });
    assert.match((await asked).result.content[0].text, /"text":"yes"/);
  });

  it('answers parallel calls out of order, each under the id of its client', async () => {
    wrapped.write({
      jsonrpc: '2.0',
      id: 'slow',
      method: 'tools/call',
      params: { name: 'slow', arguments: { ms: 300 } },
    });
    wrapped.write({
      jsonrpc: '2.0',
      id: 'fast',
      method: 'tools/call',
      params: { name: 'echo', arguments: { message: 'f' } },
    });
    await wrapped.until(message => message.id === 'slow');
    const order = wrapped.messages.map(message => message.id).filter(id => id === 'slow' || id === 'fast');
    assert.deepEqual(order, ['fast', 'slow']);
  });

  it('forwards a cancellation under the id that the upstream knows, and records the call as cancelled', async () => {
    wrapped.write({ jsonrpc: '2.0', id: 'gone', method: 'tools/call', params: { name: 'never', arguments: {} } });
    const call = await until(() => seenByUpstream().find(message => message.params?.name === 'never'));
    wrapped.write({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'gone', reason: 'enough' },
    });
    const cancelled = await until(() => seenByUpstream().find(message => message.method === 'notifications/cancelled'));
    assert.equal(cancelled.params?.requestId, call.id);
    const recorded = (await home.calls(1)).find(each => each.tool === 'never');
    assert.equal(recorded?.status, 'cancelled');
    assert.match(recorded.error_message ?? '', /enough/);
  });

  it('takes the cancellation that follows a finished call for none', async () => {
    const answer = await wrapped.call('echo', { message: 'x' });
    wrapped.write({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: answer.id } });
    await wrapped.call('echo', { message: 'y' });
    assert.equal((await home.recorded(echoed(answer).invocation)).status, 'completed');
    assert.equal(seenByUpstream().filter(message => message.method === 'notifications/cancelled').length, 1);
  });

  it('answers server/discover with -32601 and what is no JSON with -32700, and goes on', async () => {
    assert.equal((await wrapped.request('server/discover')).error?.code, -32601);
    wrapped.write('{"jsonrpc":');
    assert.equal((await wrapped.until(message => message.error?.code === -32700)).id, null);
    assert.deepEqual((await wrapped.request('ping')).result, {});
  });

  it('restarts an upstream that died in a call: a clear error, a failed record, and the next call works', async () => {
    const answer = await wrapped.call('crash');
    assert.match(answer.error?.message ?? '', /"fixture" was ended by SIGKILL.*about to crash.*may have run/s);
    assert.equal((await wrapped.call('echo', { message: 'again' })).result.content[0].text, 'again');
    const exit = await wrapped.call('exit');
    assert.match(exit.error?.message ?? '', /exited with code 3/);
    const failed = (await home.calls(1)).filter(call => call.tool === 'crash' || call.tool === 'exit');
    assert.deepEqual(
      failed.map(call => call.status),
      ['failed', 'failed'],
    );
  });
});

async function until<T>(ask: () => T | undefined): Promise<T> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const answer = ask();
    if (answer !== undefined) return answer;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  throw new Error('it did not come');
}
