import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { createEventStreams } from '../../daemon/surfaces/events.ts';
import { createClient } from '../../shared/client.ts';
import type { DaemonEvent } from '../../shared/events.ts';
import { createSseReader, type SseMessage } from '../../shared/sse.ts';
import { openWorld, until, type World } from './world.ts';

const unexpected = (error: unknown) => assert.fail(String(error));

describe('events', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  /** Follows /events as a browser does; ends with the test. */
  async function follow(query = '', headers: Record<string, string> = {}) {
    const stop = new AbortController();
    const response = await world.fetch(`/events${query}`, { headers, signal: stop.signal });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    const messages: SseMessage[] = [];
    const reader = createSseReader();
    let raw = '';
    const ended = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        const text = decoder.decode(chunk, { stream: true });
        raw += text;
        messages.push(...reader.push(text));
      }
    })().catch(error => {
      if (!stop.signal.aborted) raw += `[broken: ${error}]`;
    });
    return { messages, lastId: () => reader.lastId(), raw: () => raw, ended, stop: () => stop.abort() };
  }

  const ids = (messages: readonly SseMessage[]) => messages.map(({ id }) => Number(id));
  const create = (session_id: string) => world.store.createSession({ session_id });

  it('tell what happens from now on, each with its seq, type and whole shape', async () => {
    await create('before');
    const stream = await follow();
    await until('the place', () => stream.lastId() !== null);
    await create('after');
    await until('an event', () => stream.messages.length > 0);
    const [message] = stream.messages;
    assert.equal(message?.event, 'session.created');
    const event = JSON.parse(message?.data ?? '');
    assert.equal(event.session_id, 'after');
    assert.equal(String(event.seq), message?.id);
    stream.stop();
  });

  it('resume after Last-Event-ID, or ?after=, without a gap or a repeat', async () => {
    for (let at = 0; at < 1200; at++) await create(`s${at}`);
    const { latest } = await world.store.listEvents(0, 1);
    for (const stream of [await follow('', { 'last-event-id': '3' }), await follow('?after=3')]) {
      await create(`live-${crypto.randomUUID()}`);
      const end = (await world.store.listEvents(0, 1)).latest;
      await until('all events', () => stream.lastId() === String(end));
      assert.deepEqual(
        ids(stream.messages),
        Array.from({ length: end - 3 }, (_, at) => at + 4),
      );
      assert.ok(end > latest);
      stream.stop();
    }
  });

  it('resume without a gap while more is written at full speed', async () => {
    for (let at = 0; at < 300; at++) await create(`a${at}`);
    const writing = (async () => {
      for (let at = 0; at < 1500; at++) await create(`b${at}`);
    })();
    const stream = await follow('?after=1');
    await writing;
    const { latest } = await world.store.listEvents(0, 1);
    await until('all events', () => stream.lastId() === String(latest));
    assert.deepEqual(
      ids(stream.messages),
      Array.from({ length: latest - 1 }, (_, at) => at + 2),
    );
    stream.stop();
  });

  it('of one session only, when asked', async () => {
    await create('mine');
    await create('other');
    const stream = await follow('?after=0&session_id=mine');
    await world.store.updateSession('other', { title: 'x' });
    await world.store.updateSession('mine', { title: 'y' });
    await until('both', () => stream.messages.length === 2);
    assert.deepEqual(
      stream.messages.map(({ event }) => event),
      ['session.created', 'session.updated'],
    );
    stream.stop();
  });

  it('say resync to one who asks for what is no longer kept, or was never there', async () => {
    await create('x');
    const { latest } = await world.store.listEvents(0, 1);
    const future = await follow('?after=999999');
    await until('resync', () => future.messages.length === 1);
    assert.deepEqual([future.messages[0]?.event, future.messages[0]?.id], ['resync', String(latest)]);
    await create('y');
    await until('live again', () => future.messages.length === 2);
    future.stop();
    const { listEvents } = world.store;
    world.store.listEvents = async (after, limit) => ({
      ...(await listEvents.call(world.store, after, limit)),
      oldest: 50,
    });
    const pruned = await follow('?after=2');
    await until('resync', () => pruned.messages.length === 1);
    assert.equal(pruned.messages[0]?.event, 'resync');
    pruned.stop();
  });

  it('refuse a place that is no number', async () => {
    for (const after of ['abc', '-1', '1.5', '9'.repeat(30)]) {
      assert.equal((await world.fetch(`/events?after=${after}`)).status, 400, after);
      assert.equal((await world.fetch('/events', { headers: { 'last-event-id': after } })).status, 400, after);
    }
    assert.equal((await world.fetch('/events?session_id=a%20b')).status, 400);
  });

  it('a subscriber that leaves is forgotten', async () => {
    const subscribers = async () =>
      Number(/^sessiond_event_subscribers (\d+)$/m.exec(await (await world.fetch('/metrics')).text())?.[1]);
    const streams = [await follow(), await follow()];
    assert.equal(await subscribers(), 2);
    for (const stream of streams) stream.stop();
    await until('none', async () => (await subscribers()) === 0);
  });

  it('the streams end when the daemon stops', async () => {
    const stream = await follow();
    await world.stop();
    await stream.ended;
    assert.ok(!stream.raw().includes('[broken'), stream.raw());
    await world.start();
  });

  it('a subscriber that does not read is bounded, told resync, and slows nobody', async () => {
    const socket = connect(world.port, '127.0.0.1');
    socket.pause();
    socket.write(
      `GET /events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:${world.port}\r\nAuthorization: Bearer ${world.token}\r\n\r\n`,
    );
    await until('a subscriber', async () => /subscribers 1$/m.test(await (await world.fetch('/metrics')).text()));
    const state = { text: 'x'.repeat(200_000) };
    await create('big');
    for (let at = 0; at < 60; at++) await world.store.updateSession('big', { state: { ...state, at } });
    // Past the socket's buffers now: small events until the queue has overflowed.
    for (let at = 0; at < 1100; at++)
      await world.store.updateSession('big', { title: `t${at}`, ...(at === 0 ? { state: {} } : {}) });
    let seen = '';
    let resyncs = 0;
    socket.on('data', chunk => {
      seen = (seen + chunk).slice(-5000);
      if (String(chunk).includes('event: resync')) resyncs++;
    });
    socket.resume();
    const { latest } = await world.store.listEvents(0, 1);
    await until('the end', () => seen.includes(`id: ${latest}\n`));
    socket.destroy();
    assert.equal(resyncs, 1);
    assert.deepEqual(world.logged, []);
  });
});

describe('one subscriber of an event log', () => {
  const event = (seq: number): DaemonEvent => ({
    seq,
    at: '2026-11-21T09:00:00.000Z',
    type: 'conversation.moved',
    session_id: 's',
    client: 'c',
    conversation_id: 'x',
  });

  function logOf(kept: DaemonEvent[]) {
    const listeners = new Set<(events: readonly DaemonEvent[]) => void>();
    return {
      listeners,
      emit: (events: readonly DaemonEvent[]) => {
        for (const listener of listeners) listener(events);
      },
      listEvents: async (after: number, limit: number) => ({
        events: kept.filter(({ seq }) => seq > after).slice(0, limit),
        oldest: kept[0]?.seq ?? 1,
        latest: kept.at(-1)?.seq ?? 0,
      }),
      onEvents(listener: (events: readonly DaemonEvent[]) => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
  }

  const eventIds = (text: string) => [...text.matchAll(/^id: (\d+)\nevent/gm)].map(match => Number(match[1]));

  async function readUntil(stream: ReadableStream<Uint8Array>, end: string): Promise<string> {
    let text = '';
    const reader = stream.getReader();
    while (!text.includes(end)) {
      const { done, value } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
    return text;
  }

  it('gets resync when more came than its queue holds', async () => {
    const kept: DaemonEvent[] = [event(1)];
    const log = logOf(kept);
    const errors: unknown[] = [];
    const streams = createEventStreams({ log, onError: error => errors.push(error), queueLimit: 10 });
    const stream = streams.open({ after: null, session_id: null });
    await new Promise(setImmediate);
    for (let seq = 2; seq <= 50; seq++) kept.push(event(seq));
    log.emit(kept.slice(1));
    const text = await readUntil(stream, 'resync');
    assert.match(text, /id: 50\nevent: resync\ndata: \{"reason":"too slow"\}\n\n$/);
    assert.equal(log.listeners.size, 0);
    assert.deepEqual(errors, []);
  });

  for (const [end, how] of [
    [8, 'a little'],
    [50, 'more than its queue holds'],
  ] as const)
    it(`hears each event once when ${how} came while it was behind`, async () => {
      const kept: DaemonEvent[] = [event(1), event(2)];
      const log = logOf(kept);
      const { listEvents } = log;
      let asked = 0;
      log.listEvents = async (after, limit) => {
        if (++asked === 2) {
          for (let seq = 3; seq <= end; seq++) kept.push(event(seq));
          log.emit(kept.slice(2));
        }
        if (asked > 20) await new Promise(() => {});
        return listEvents(after, limit);
      };
      const streams = createEventStreams({ log, onError: unexpected, queueLimit: 10 });
      const reader = streams.open({ after: 0, session_id: null }).getReader();
      let text = '';
      for (let last = end; last <= end + 1; last++) {
        while (!text.includes(`id: ${last}\n`)) text += new TextDecoder().decode((await reader.read()).value);
        await new Promise(setImmediate);
        if (last === end) log.emit([event(end + 1)]);
      }
      await reader.cancel();
      assert.deepEqual(
        eventIds(text),
        Array.from({ length: end + 1 }, (_, at) => at + 1),
      );
      assert.ok(!text.includes('resync'));
    });

  it('has a hole in the live events filled from the log', async () => {
    const kept = [event(1)];
    const log = logOf(kept);
    const stream = createEventStreams({ log, onError: unexpected }).open({ after: 1, session_id: null });
    await new Promise(setImmediate);
    for (let seq = 2; seq <= 9; seq++) kept.push(event(seq));
    log.emit(kept.slice(-1));
    const text = await readUntil(stream, 'id: 9\n');
    assert.deepEqual(eventIds(text), [2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('hears a sign of life when nothing happens', async () => {
    const streams = createEventStreams({ log: logOf([]), onError: unexpected, heartbeat_ms: 5 });
    assert.match(await readUntil(streams.open({ after: null, session_id: null }), 'alive'), /^: alive$/m);
  });

  it('ends, and says why to the log, when events cannot be read', async () => {
    const log = { ...logOf([]), listEvents: () => Promise.reject(new Error('disk')) };
    const errors: unknown[] = [];
    const streams = createEventStreams({ log, onError: error => errors.push(error) });
    await readUntil(streams.open({ after: 3, session_id: null }), 'never');
    assert.match(String(errors[0]), /disk/);
    assert.equal(streams.subscribers(), 0);
  });

  it('is refused when there are too many, and after the end', () => {
    const streams = createEventStreams({ log: logOf([]), onError: unexpected, mostSubscribers: 1 });
    const subscription = { after: null, session_id: null };
    void streams.open(subscription);
    assert.throws(() => streams.open(subscription), { code: 'unavailable' });
    streams.close();
    assert.throws(() => streams.open(subscription), { code: 'unavailable' });
  });
});

describe('the typed client', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  it('follows events over a restart of the daemon, without a gap or a repeat', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const states: string[] = [];
    const following = (async () => {
      for await (const event of world.client.events({
        after: 0,
        signal: stop.signal,
        onState: ({ state }) => states.push(state),
      }))
        seen.push(event.seq);
    })();
    await world.store.createSession({ session_id: 'a' });
    await until('the first', () => seen.length === 1);
    await world.stop();
    await until('lost', () => states.includes('lost'));
    await world.store.createSession({ session_id: 'b' });
    await world.start();
    await world.store.createSession({ session_id: 'c' });
    await until('all three', () => seen.length === 3);
    stop.abort();
    await following;
    assert.deepEqual(seen, [1, 2, 3]);
    assert.deepEqual([states[0], states.at(-1)], ['open', 'open']);
  });

  it('is told of a resync with the place it goes on from', async () => {
    await world.store.createSession({ session_id: 'a' });
    for await (const event of world.client.events({ after: 999 })) {
      assert.deepEqual(event, { type: 'resync', seq: 1 });
      break;
    }
  });

  it('says that no daemon answers, and does not try again with a wrong token', async () => {
    const wrong = createClient({ url: world.url, token: 'wrong' });
    await assert.rejects(wrong.call('sessions_list', {}), { code: 'unauthorized' });
    await assert.rejects(
      async () => {
        for await (const _ of wrong.events()) assert.fail('an event');
      },
      { code: 'unauthorized' },
    );
    await world.stop();
    await assert.rejects(world.client.call('sessions_list', {}), { code: 'unavailable', message: /sessiond start/ });
    await world.start();
  });

  it('says that an answer took too long, and that the call may have run', async () => {
    const never: typeof fetch = (_, init) =>
      new Promise((_resolve, reject) => init?.signal?.addEventListener('abort', () => reject(init.signal?.reason)));
    const slow = createClient({ url: world.url, token: world.token, fetch: never, timeout_ms: 20 });
    await assert.rejects(slow.call('sessions_list', {}), { code: 'timed_out', message: /20 ms; it may have run/ });
  });

  it('refuses an answer of another shape', async () => {
    const other: typeof fetch = async () => Response.json({ items: 'none' });
    const client = createClient({ url: world.url, token: world.token, fetch: other });
    await assert.rejects(client.call('sessions_list', {}), { code: 'internal', message: /items/ });
  });

  it('keeps an id with any characters one step of the path', async () => {
    await assert.rejects(world.client.call('sessions_get', { session_id: '../servers' }), {
      code: 'invalid_input',
      message: /"\.\.\/servers"/,
    });
    await assert.rejects(world.client.call('sessions_get', { session_id: '..' }), { code: 'invalid_input' });
    await assert.rejects(world.client.call('sessions_get', { session_id: 'a?b=1#c' }), {
      code: 'invalid_input',
      message: /"a\?b=1#c"/,
    });
  });

  it('reads events however they are cut, with every line end', () => {
    const text =
      'retry: 1\nid: 7\n\nid: 8\r\nevent: a\r\ndata: one\r\ndata:two\r\n\r\n: comment\rdata: x\r\rid\ndata\n\n';
    for (let cut = 0; cut <= text.length; cut++) {
      const reader = createSseReader();
      const messages = [...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut))];
      assert.deepEqual(
        messages,
        [
          { event: 'a', data: 'one\ntwo', id: '8' },
          { event: 'message', data: 'x', id: '8' },
          { event: 'message', data: '', id: '' },
        ],
        `cut at ${cut}`,
      );
    }
  });
});
