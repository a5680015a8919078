import Table from 'cli-table3';
import type { DaemonEvent } from '../../../shared/events.ts';
import type { Invocation, InvocationDetail } from '../../../shared/invocation.ts';
import type { OperationName, OperationOutput } from '../../../shared/operations/table.ts';
import type { Server } from '../../../shared/server.ts';
import type { Session } from '../../../shared/session.ts';
import { sessionLabel } from '../../../shared/sessionLabel.ts';
import type { Terminal } from './environment.ts';
import { age, clockTime, duration, plain, plainLines, safeJson, size, type Tone } from './text.ts';

interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  readonly tone?: (row: Row) => Tone | null;
  readonly align?: 'right';
  /** Takes the room that is left; one a table. */
  readonly stretch?: true;
  /** Left out on terminals with fewer columns, and where every row would be empty. */
  readonly from?: number;
}

const LEAST_STRETCH = 12;
const GAP = 2;
const EVENT_WIDTH = 32;
const STATUS_WIDTH = 'interrupted'.length;
const TOOK_WIDTH = '59.9 s'.length;

/** What a person reads of an operation's output. */
export function render<N extends OperationName>(name: N, output: OperationOutput<N>, terminal: Terminal): string {
  const renderer = renderers[name];
  return renderer ? renderer(output, terminal) : fields(output, terminal);
}

const renderers: { readonly [N in OperationName]?: (output: OperationOutput<N>, terminal: Terminal) => string } = {
  sessions_create: sessionText,
  sessions_get: sessionText,
  sessions_update: sessionText,
  sessions_use: sessionText,
  sessions_complete: sessionText,
  sessions_list: (page, terminal) =>
    page.items.length === 0
      ? 'No sessions. Begin one with `sessiond new TITLE`, or connect an assistant.'
      : table(page.items, sessionColumns(terminal), terminal) + activeNote(page.items) + more(page, 'list'),
  invocations_list: (page, terminal) =>
    page.items.length === 0
      ? 'No calls.'
      : table(page.items, invocationColumns(terminal), terminal) + more(page, 'calls'),
  invocations_get: (detail, terminal) => invocationText(detail, terminal),
  servers_list: ({ items }, terminal) =>
    items.length === 0
      ? 'No servers. Add one with `sessiond servers add NAME -- COMMAND ARGS...`.'
      : table(items, serverColumns(terminal), terminal),
};

/** One line of an event, for following along: local time, what, status, duration, and the session by its `label`. */
export function eventLine(event: DaemonEvent, label: string, terminal: Terminal): string {
  const { paint } = terminal;
  const line = (what: string, status: string, took: string, ...rest: string[]) =>
    [
      paint('dim', clockTime(event.at)),
      what.padEnd(EVENT_WIDTH),
      coloured(terminal, statusTone(status), status.padEnd(STATUS_WIDTH)),
      took.padStart(TOOK_WIDTH),
      ...rest.map(plain),
    ]
      .join('  ')
      .trimEnd();
  if ('invocation' in event) {
    const { server, tool, status, duration_ms, error_message } = event.invocation;
    const linked = event.type === 'invocation.linked' ? ' linked' : '';
    const text = line(plain(`${server} ${tool}`) + linked, status, duration(duration_ms), label);
    return error_message === null ? text : `${text}  ${paint('red', plain(error_message))}`;
  }
  const what = event.type.replace('.', ' ');
  if ('session' in event) return line(what, event.session.status, '', label);
  return line(what, '', '', label, event.client);
}

/** What a person needs of a session: what is empty, nought or only of use to programs is in --json. */
function sessionText(session: Session, terminal: Terminal): string {
  const { updated_at: _, version: __, active, message_count, total_invocations, failed_invocations, ...rest } = session;
  const { status, token_usage, estimated_cost, total_duration_ms, tools_used, ...named } = rest;
  const failed = failed_invocations > 0 ? `, ${failed_invocations} failed` : '';
  const counts = {
    messages: message_count || null,
    calls: total_invocations === 0 ? null : `${total_invocations}${failed}, ${duration(total_duration_ms)} in all`,
    tools_used: tools_used.map(name => name.replace('__', ' ')),
    token_usage,
    estimated_cost,
  };
  const { session_id, title, ...others } = named;
  const state = active ? `${status}, the one of its workspace that new conversations join` : status;
  return fields({ session_id, title, status: state, ...others, ...counts }, terminal);
}

/** Name and value of each member, one a line; text made safe. */
export function fields(value: object, terminal: Terminal): string {
  const entries = Object.entries(value).filter(([, member]) => member !== null && !isEmpty(member));
  const width = Math.max(0, ...entries.map(([key]) => plain(key).length));
  return entries
    .map(([key, member]) => {
      return `${terminal.paint('dim', plain(key).padEnd(width))}  ${fieldText(key, member)}`;
    })
    .join('\n');
}

function fieldText(key: string, member: unknown): string {
  if (typeof member === 'string') return plain(member);
  if (isTexts(member)) return plain(member.join(', '));
  if (typeof member === 'number' && key.endsWith('_ms')) return duration(member);
  if (typeof member === 'number' && key.endsWith('_bytes')) return size(member);
  return safeJson(member);
}

/** The calls of one session under it. */
export function sessionWithCalls(session: Session, calls: readonly Invocation[], terminal: Terminal): string {
  const heading = terminal.paint('bold', plain(sessionLabel(session)));
  const columns = invocationColumns(terminal).filter(({ head }) => head !== 'SESSION');
  const body = calls.length === 0 ? 'No calls.' : table(calls, columns, terminal);
  const rest = session.total_invocations - calls.length;
  const hint = rest > 0 ? `\n${rest} more: sessiond calls ${session.session_id}` : '';
  return `${heading}\n${sessionText({ ...session, title: null }, terminal)}\n\n${body}${hint}`;
}

function sessionColumns({ now }: Terminal): Column<Session>[] {
  return [
    { head: 'SESSION', cell: row => row.session_id },
    { head: 'TITLE', cell: sessionLabel, stretch: true },
    { head: 'STATUS', cell: row => (row.active ? `${row.status} *` : row.status), tone: row => statusTone(row.status) },
    { head: 'CALLS', cell: row => String(row.total_invocations), align: 'right' },
    {
      head: 'ERRORS',
      cell: row => String(row.failed_invocations),
      align: 'right',
      tone: row => (row.failed_invocations > 0 ? 'red' : null),
      from: 90,
    },
    { head: 'AGE', cell: row => age(row.last_activity_at, now()), align: 'right' },
    { head: 'TAGS', cell: row => row.tags.join(', '), from: 110 },
    { head: 'CLIENT', cell: row => row.client ?? '', from: 130 },
  ];
}

function invocationColumns({ now }: Terminal): Column<Invocation>[] {
  return [
    { head: 'CALL', cell: row => row.invocation_id },
    { head: 'TOOL', cell: row => `${row.server} ${row.tool}`, stretch: true },
    { head: 'STATUS', cell: row => row.status, tone: row => statusTone(row.status) },
    { head: 'TOOK', cell: row => duration(row.duration_ms), align: 'right' },
    { head: 'AGE', cell: row => age(row.started_at, now()), align: 'right' },
    { head: 'SESSION', cell: row => row.session_id ?? '', from: 130 },
    { head: 'ERROR', cell: row => row.error_message ?? '', tone: () => 'red', from: 180 },
  ];
}

function serverColumns(_: Terminal): Column<Server>[] {
  return [
    { head: 'SERVER', cell: row => row.server },
    { head: 'STATE', cell: row => row.state, tone: row => statusTone(row.state) },
    { head: 'TOOLS', cell: row => (row.tools === null ? '' : String(row.tools)), align: 'right' },
    { head: 'TARGET', cell: row => row.target, stretch: true },
    { head: 'ERROR', cell: row => row.error_message ?? '', tone: () => 'red', from: 120 },
  ];
}

function invocationText(detail: InvocationDetail, terminal: Terminal): string {
  const { arguments: given, result, error, meta, ...summary } = detail;
  const parts: [string, unknown][] = [
    ['arguments', given],
    ['result', result],
    ['error', error],
    ['meta', meta],
  ];
  const shown = parts
    .filter(([, part]) => part !== null)
    .map(([name, part]) => `\n${terminal.paint('bold', name)}\n${plainLines(safeJson(part, 2))}`);
  return [fields(summary, terminal), ...shown].join('\n');
}

function table<Row>(rows: readonly Row[], all: readonly Column<Row>[], terminal: Terminal): string {
  const columns = all.filter(
    ({ from, cell }) =>
      from === undefined || ((terminal.width ?? Infinity) >= from && rows.some(row => plain(cell(row)) !== '')),
  );
  const cells = rows.map(row => columns.map(column => plain(column.cell(row))));
  const out = new Table({
    head: columns.map(({ head }) => terminal.paint('dim', head)),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    colWidths: stretched(columns, cells, terminal.width),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP, compact: true },
    chars: noBorders,
  });
  rows.forEach((row, at) => {
    out.push(columns.map((column, index) => coloured(terminal, column.tone?.(row) ?? null, cells[at]?.[index] ?? '')));
  });
  return out
    .toString()
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n');
}

/** Widths that fit the terminal: the stretching column gives way, cli-table3 measures wide characters and shortens. */
function stretched<Row>(columns: readonly Column<Row>[], cells: readonly string[][], width: number | null) {
  if (width === null) return [];
  const natural = columns.map(
    ({ head }, index) => Math.max(head.length, ...cells.map(row => cellWidth(row[index] ?? ''))) + GAP,
  );
  const excess = natural.reduce((sum, each) => sum + each, 0) - GAP - width;
  if (excess <= 0) return [];
  return columns.map(({ stretch }, index) => {
    const each = natural[index] ?? 0;
    return stretch ? Math.max(LEAST_STRETCH, each - excess) : each;
  });
}

/** An upper bound that is exact for ASCII: anything else counts as two columns. */
function cellWidth(text: string): number {
  let width = 0;
  for (const character of text) width += character <= '~' ? 1 : 2;
  return width;
}

const noBorders = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map(name => [name, '']),
);

function activeNote(sessions: readonly Session[]): string {
  return sessions.some(({ active }) => active) ? '\n* new conversations of its workspace join it' : '';
}

function more(
  page: { next_cursor: string | null; total: number | null; items: readonly unknown[] },
  alias: string,
): string {
  if (page.next_cursor === null) return '';
  const of = page.total === null ? '' : ` of ${page.total}`;
  return `\n${page.items.length}${of} shown; next: sessiond ${alias} --cursor ${page.next_cursor} (with the same filters)`;
}

function statusTone(status: string): Tone | null {
  if (['active', 'ready', 'running'].includes(status)) return 'green';
  if (['failed', 'timed_out', 'interrupted'].includes(status)) return 'red';
  if (['suspended', 'cancelled', 'refused', 'starting'].includes(status)) return 'yellow';
  return null;
}

function coloured(terminal: Terminal, tone: Tone | null, text: string): string {
  return tone === null ? text : terminal.paint(tone, text);
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string');
}
