import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Caller } from '../../daemon/invoke.ts';
import { createMcpSurface } from '../../daemon/surfaces/mcp.ts';
import { openWorld, runIn, type World } from './world.ts';

const folder = new URL('transcripts/', import.meta.url);
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;

describe('transcripts of the surfaces', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
  });
  afterEach(() => world.close());

  it('HTTP: requests and responses', async () => {
    await replay('http.txt', async said => {
      const exchanges = said.split('\n---\n');
      const answers: string[] = [];
      for (const exchange of exchanges) {
        const sent = linesOf(exchange, '>');
        const answer = await overSocket(world, sent);
        answers.push(
          [...sent.map(line => `> ${line}`.trimEnd()), ...answer.map(line => `< ${line}`.trimEnd())].join('\n'),
        );
      }
      return answers.join('\n---\n');
    });
  });

  it('MCP: messages', async () => {
    const caller: Caller = {
      surface: 'mcp',
      client: 'test-client',
      conversation: { client: 'test-client', conversation_id: 'c1' },
      workspace: '/src/app',
    };
    const surface = createMcpSurface(world.invoke, { version: '0.0.0-test' });
    await replay('mcp.txt', async said => {
      const lines: string[] = [];
      for (const line of linesOf(said, '>')) {
        const response = await surface.handle(JSON.parse(line), caller);
        lines.push(`> ${line}`, ...(response ? [`< ${JSON.stringify(response)}`] : []));
      }
      return lines.join('\n').replace(TIME, '<time>');
    });
  });

  it('CLI: command lines and what they print', async () => {
    await replay('cli.txt', async said => {
      const lines: string[] = [];
      for (const line of linesOf(said, '$')) {
        const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
        const { status, stdout, stderr } = await runIn(world, words.slice(1));
        lines.push(`$ ${line}`);
        if (stdout !== '') lines.push(stdout.trimEnd());
        if (stderr !== '') lines.push(`! ${stderr.trimEnd()}`);
        if (status !== 0) lines.push(`[${status}]`);
      }
      return lines.join('\n').replace(TIME, '<time>');
    });
  });
});

/**
 * Compares what happens now with the transcript; its leading comment stays out of it. WRITE_TRANSCRIPTS=1 writes down what
 * happens instead, to be read before it is kept.
 */
async function replay(name: string, happen: (said: string) => Promise<string>): Promise<void> {
  const file = new URL(name, folder);
  const text = await readFile(file, 'utf8');
  const comment = /^(#.*\n)*/.exec(text)?.[0] ?? '';
  const said = text.slice(comment.length).trimEnd();
  const now = await happen(said);
  if (process.env.WRITE_TRANSCRIPTS) await writeFile(file, `${comment}${now}\n`);
  else assert.deepEqual(now.split('\n'), said.split('\n'));
}

function linesOf(text: string, mark: '>' | '$'): string[] {
  return text
    .split('\n')
    .filter(line => line.startsWith(mark))
    .map(line => line.slice(2));
}

/** Sends the lines as they are and reads to the end of the connection. */
async function overSocket(world: World, lines: readonly string[]): Promise<string[]> {
  const at = lines.indexOf('');
  const body = lines.slice(at + 1).join('\n');
  const head = [...lines.slice(0, at), `Content-Length: ${Buffer.byteLength(body)}`, 'Connection: close'].join('\r\n');
  const socket = connect(world.port, '127.0.0.1');
  socket.write(`${head}\r\n\r\n${body}`.replaceAll('<port>', String(world.port)).replaceAll('<token>', world.token));
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text
    .replaceAll(String(world.port), '<port>')
    .replace(TIME, '<time>')
    .replace(/^date: .*$/im, 'date: <date>')
    .replaceAll('\r\n', '\n')
    .trimEnd()
    .split('\n');
}
