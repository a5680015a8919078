import assert from 'node:assert/strict';
import fc from 'fast-check';
import { exposeTool, toolEntry } from '../../daemon/gateway/injection.ts';
import { itemsOf, membersOf, startOf } from '../../daemon/gateway/jsonSpans.ts';
import { parseMessage, type RequestMessage, type ResponseMessage } from '../../daemon/gateway/message.ts';
import { listItems, rewriteRequest, rewriteResponse, withListItems, withParam } from '../../daemon/gateway/rewrite.ts';

function request(raw: Buffer): RequestMessage {
  const message = parseMessage(raw);
  assert.ok(message.kind === 'request');
  return message;
}

function response(raw: Buffer): ResponseMessage {
  const message = parseMessage(raw);
  assert.ok(message.kind === 'response');
  return message;
}

const spaced = (value: unknown): Buffer => Buffer.from(JSON.stringify(value, null, 1));

describe('spans of a JSON text', () => {
  it('are those of JSON.parse, for any object and any spacing', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), object => {
        for (const json of [Buffer.from(JSON.stringify(object)), spaced(object)]) {
          const found = membersOf(json, startOf(json)).map(({ key, value, end }) => [
            key,
            JSON.parse(json.toString('utf8', value, end)),
          ]);
          assert.deepEqual(Object.fromEntries(found), JSON.parse(json.toString()));
        }
      }),
    );
  });

  it('are found in arrays too, and in text nested 50,000 deep', () => {
    const deep = Buffer.from(`[${'['.repeat(50_000)}${']'.repeat(50_000)},"a\\\\",{"b":"]"}]`);
    const items = itemsOf(deep, 0).map(({ value, end }) => deep.toString('utf8', value, end));
    assert.equal(items.length, 3);
    assert.equal(items[1], '"a\\\\"');
    assert.equal(items[2], '{"b":"]"}');
  });
});

describe('a rewritten request', () => {
  it('differs in what was named only: numbers, escapes, key order and spaces stay as they were written', () => {
    const raw = Buffer.from(
      '{"method":"tools/call", "params":{"name":"a__b","arguments":{"2":1.0,"1":12345678901234567890,"session_id":"s","t":"\\u00e9\\/"}},"id" : "x"}',
    );
    const changed = rewriteRequest(request(raw), {
      id: 7,
      param: { path: ['name'], value: 'b' },
      dropSessionArgument: true,
      addMeta: [['dev.sessiond/session_id', 's']],
    });
    assert.equal(
      changed.toString(),
      '{"method":"tools/call", "params":{"_meta":{"dev.sessiond/session_id":"s"},"name":"b","arguments":{"2":1.0,"1":12345678901234567890,"t":"\\u00e9\\/"}},"id" : 7}',
    );
  });

  it('has no session_id left wherever it stood, and is valid JSON', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter(key => key !== '__proto__'),
          fc.jsonValue(),
        ),
        fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
        (args, places) => {
          const members = Object.entries(args)
            .filter(([key]) => key !== 'session_id')
            .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
          const expected = JSON.parse(`{${members.join(',')}}`);
          for (const place of places) members.splice(place % (members.length + 1), 0, '"session_id":"s"');
          const raw = Buffer.from(`{"id":1,"method":"m","params":{"arguments":{${members.join(' , ')}}}}`);
          const changed = JSON.parse(rewriteRequest(request(raw), { id: 2, dropSessionArgument: true }).toString());
          assert.deepEqual(changed.params.arguments, expected);
        },
      ),
    );
  });

  it("keeps the client's own _meta and lets sessiond's key win over a forged one", () => {
    const raw = Buffer.from(
      '{"id":1,"method":"m","params":{"_meta":{"progressToken":3,"dev.sessiond/session_id":"forged"}}}',
    );
    const changed = JSON.parse(
      rewriteRequest(request(raw), { id: 1, addMeta: [['dev.sessiond/session_id', 'true']] }).toString(),
    );
    assert.deepEqual(changed.params._meta, { progressToken: 3, 'dev.sessiond/session_id': 'true' });
  });
});

describe('a rewritten response', () => {
  it('gains _meta and the id of the client, and keeps every other byte', () => {
    const raw = Buffer.from('{"result":{"content":[],"n":1.0},"id":4,"jsonrpc":"2.0"}');
    assert.equal(
      rewriteResponse(response(raw), 'client', [['k', 'v']]).toString(),
      '{"result":{"_meta":{"k":"v"},"content":[],"n":1.0},"id":"client","jsonrpc":"2.0"}',
    );
  });

  it('is left as it is where the result is no object', () => {
    for (const result of ['null', '"text"', '[1]']) {
      const raw = Buffer.from(`{"id":4,"result":${result}}`);
      assert.equal(rewriteResponse(response(raw), 4, [['k', 'v']]).toString(), raw.toString());
    }
  });

  it('names the request of a cancellation anew', () => {
    const raw = Buffer.from('{"method":"notifications/cancelled","params":{"requestId":"c","reason":"r"}}');
    assert.equal(JSON.parse(withParam(raw, 'requestId', '9').toString()).params.requestId, 9);
  });
});

describe('an exposed tool', () => {
  const expose = (
    tool: unknown,
    inject: 'auto' | 'always' | 'never' = 'auto',
  ): { inputSchema: Record<string, unknown> } => {
    const entry = toolEntry(Buffer.from(JSON.stringify(tool)));
    assert.ok(entry);
    return JSON.parse(exposeTool(entry, 'server__tool', inject).toString());
  };

  it('gains an optional session_id and its new name, nothing else', () => {
    const tool = {
      name: 'tool',
      inputSchema: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
      icons: [1],
    };
    const { properties, ...rest } = expose(tool).inputSchema as { properties: Record<string, { type: string }> };
    assert.deepEqual(Object.keys(properties), ['a', 'session_id']);
    assert.equal(properties.session_id?.type, 'string');
    assert.deepEqual(rest, { type: 'object', required: ['a'] });
  });

  it('gains it where the schema has no properties, and where they are empty', () => {
    for (const inputSchema of [{ type: 'object' }, { type: 'object', properties: {} }]) {
      assert.deepEqual(Object.keys(expose({ name: 't', inputSchema }).inputSchema.properties as object), [
        'session_id',
      ]);
    }
  });

  it('is left alone with a session_id of its own, with inject never, and with a schema that is a reference', () => {
    const own = { type: 'object', properties: { session_id: { type: 'number' } } };
    assert.deepEqual(expose({ name: 't', inputSchema: own }, 'always').inputSchema, own);
    assert.deepEqual(expose({ name: 't', inputSchema: { type: 'object' } }, 'never').inputSchema, { type: 'object' });
    assert.deepEqual(expose({ name: 't', inputSchema: { $ref: '#' } }).inputSchema, { $ref: '#' });
  });
});

describe('a list result', () => {
  it('keeps what stands beside its items', () => {
    const result = Buffer.from('{"x":1.0,"tools":[ {"name":"a"} , {"name":"b"}],"nextCursor":"c"}');
    const items = listItems(result, 'tools');
    assert.deepEqual(items.map(String), ['{"name":"a"}', '{"name":"b"}']);
    assert.equal(
      withListItems(result, 'tools', items.slice(1)).toString(),
      '{"x":1.0,"tools":[{"name":"b"}],"nextCursor":"c"}',
    );
  });
});
