/**
 * What the gateway costs, beside a direct path in the same run. `npm run bench -- --only stdio,http,start --rounds 3`.
 * Times are milliseconds; CPU is that of the stdio process and the daemon together, with what is written behind the answer.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { HttpCaller, StdioCaller } from './callers.ts';
import { compare, quantile } from './measure.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'stdio,http,start' },
    blocks: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});
const parts = new Set(values.only.split(','));
const blocks = Number(values.blocks);
const root = path.resolve(import.meta.dirname, '../..');
const sessiond = [process.execPath, path.join(root, 'dist/sessiond.js')];
const echo = [process.execPath, path.join(import.meta.dirname, 'echoStdio.ts')];
const folder = mkdtempSync(path.join(tmpdir(), 'sessiond-bench-'));

interface Row {
  readonly name: string;
  readonly direct: string;
  readonly ours: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: string;
}
const rows: Row[] = [];
const ms = (value: number): string => `${value.toFixed(3)} ms`;

function makeHome(name: string): { home: string; env: NodeJS.ProcessEnv } {
  const home = path.join(folder, name);
  spawnSync('mkdir', ['-m', '700', home]);
  const [command, ...args] = echo;
  writeFileSync(path.join(home, 'config.json'), JSON.stringify({ mcpServers: { bench: { command, args } } }), {
    mode: 0o600,
  });
  return { home, env: { SESSIOND_HOME: home } };
}

function run(env: NodeJS.ProcessEnv, ...args: string[]): void {
  const { status, stderr } = spawnSync(sessiond[0] ?? '', [...sessiond.slice(1), ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`sessiond ${args.join(' ')}: ${stderr}`);
}

function discovery(home: string): { pid: number; port: number; token: string } {
  return JSON.parse(readFileSync(path.join(home, 'daemon.json'), 'utf8'));
}

// source-like text, so that JSON escaping costs what it really costs
const source = 'const value = lookup("name", { depth: 3 });\n\treturn value ?? "none";\n';
const textOf = (bytes: number): string => {
  let length = bytes;
  while (JSON.stringify(source.repeat(Math.ceil(bytes / source.length)).slice(0, length)).length > bytes + 2)
    length -= 20;
  return source.repeat(Math.ceil(bytes / source.length)).slice(0, length);
};

async function stdioPart(): Promise<void> {
  const { home, env } = makeHome('stdio');
  run(env, 'start');
  const direct = await StdioCaller.start(echo);
  const ours = await StdioCaller.start([...sessiond, 'stdio'], env);
  const pids = [ours.child.pid ?? 0, discovery(home).pid];
  const small = await compare(direct, ours, { blocks, calls: 200, text: textOf(100), pids });
  const big = await compare(direct, ours, { blocks: Math.ceil(blocks / 2), calls: 40, text: textOf(100_000), pids });
  rows.push(
    {
      name: 'stdio 100 B, p50',
      direct: ms(small.directP50),
      ours: ms(small.ourP50),
      measured: small.ratio,
      limit: 3.5,
      unit: '×',
    },
    {
      name: 'stdio 100 KB, p50',
      direct: ms(big.directP50),
      ours: ms(big.ourP50),
      measured: big.ratio,
      limit: 2.2,
      unit: '×',
    },
  );
  const pipe = await StdioCaller.start([process.execPath, path.join(import.meta.dirname, 'pipe.ts'), ...echo]);
  const bare = await compare(direct, pipe, { blocks, calls: 200, text: textOf(100), pids: [pipe.child.pid ?? 0] });
  rows.push({
    name: 'stdio 100 B, CPU a call',
    direct: `bare pipe ${bare.cpu.toFixed(0)} µs`,
    ours: `p99 ${ms(small.ourP99)}`,
    measured: small.cpu,
    limit: 150,
    unit: ' µs',
  });
  await Promise.all([direct.close(), ours.close(), pipe.close()]);
  run(env, 'stop');
}

async function httpPart(): Promise<void> {
  const { home, env } = makeHome('http');
  run(env, 'start');
  const server = spawn(process.execPath, [path.join(import.meta.dirname, 'echoHttp.ts')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const port = await new Promise<string>(resolve =>
    server.stdout.once('data', (line: Buffer) => resolve(line.toString().trim())),
  );
  const { pid, port: ourPort, token } = discovery(home);
  const direct = await HttpCaller.start(`http://127.0.0.1:${port}/mcp`, null);
  const ours = await HttpCaller.start(`http://127.0.0.1:${ourPort}/mcp`, token);
  const small = await compare(direct, ours, { blocks, calls: 200, text: textOf(100), pids: [pid] });
  rows.push({
    name: 'HTTP 100 B, p50',
    direct: ms(small.directP50),
    ours: ms(small.ourP50),
    measured: small.ratio,
    limit: 1.5,
    unit: '×',
  });
  await Promise.all([direct.close(), ours.close()]);
  server.kill();
  run(env, 'stop');
}

/** Median ms to the answered tools/list, direct and through us, in turn. */
async function starts(
  rounds: number,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  between: () => void,
): Promise<[number, number]> {
  const times = { direct: [] as number[], ours: [] as number[] };
  for (let i = 0; i < rounds; i += 1) {
    const direct = await StdioCaller.start(echo);
    times.direct.push(direct.listedAfter);
    await direct.close();
    const ours = await StdioCaller.start(command, env);
    times.ours.push(ours.listedAfter);
    await ours.close();
    between();
  }
  return [quantile(times.direct, 0.5), quantile(times.ours, 0.5)];
}

async function startPart(): Promise<void> {
  const { env } = makeHome('start');
  const command = [...sessiond, 'stdio'];
  run(env, 'start');
  await (await StdioCaller.start(command, env)).close(); // fills the cache
  const rounds = Number(values.rounds);
  for (const [name, between] of [
    ['daemon running', () => {}],
    ['daemon not running', () => run(env, 'stop')],
  ] as const) {
    if (name === 'daemon not running') run(env, 'stop');
    const [direct, ours] = await starts(rounds, command, env, between);
    rows.push({
      name: `first tools/list, ${name}`,
      direct: ms(direct),
      ours: ms(ours),
      measured: ours - direct,
      limit: 200,
      unit: ' ms more',
    });
  }
  run(env, 'stop');
}

try {
  if (parts.has('stdio')) await stdioPart();
  if (parts.has('http')) await httpPart();
  if (parts.has('start')) await startPart();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.json) console.log(JSON.stringify(rows, null, 2));
else {
  const table = new Table({
    head: ['', 'direct', 'through sessiond', 'measured', 'limit', ''],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const show = (value: number): string => `${value.toFixed(row.unit === '×' ? 2 : 0)}${row.unit}`;
    table.push([
      row.name,
      row.direct,
      row.ours,
      show(row.measured),
      show(row.limit),
      row.measured <= row.limit ? 'ok' : 'OVER',
    ]);
  }
  console.log(table.toString());
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`);
}
