import type { OperationArguments } from '../../../shared/operations/table.ts';
import { firstNum } from './schema.ts';

/** A query in the making: conditions, with the values of their question marks in order. */
export interface Query {
  from: string;
  readonly where: string[];
  readonly params: (string | number)[];
}

/** FROM and WHERE of a query. */
export function sqlOf(query: Query): string {
  return `FROM ${query.from}${query.where.length ? ` WHERE ${query.where.join(' AND ')}` : ''}`;
}

const HAS_TAG = 'x.last_activity_at = s.last_activity_at AND x.session = s.num';

/** The sessions that fit a filter, and the two columns that they are ordered by. */
export function sessionQuery(filter: OperationArguments<'sessions_list'>): { query: Query; order: string } {
  const query: Query = { from: 'sessions s', where: [], params: [] };
  let order = 's.last_activity_at, s.num';
  const all = [...(filter.tags_all ?? [])];
  // A single tag drives the query, so that the newest of it are read without looking at sessions that lack it.
  const driver = all.shift() ?? (filter.tags_any?.length === 1 ? filter.tags_any[0] : undefined);
  if (driver !== undefined) {
    query.from = 'tags t CROSS JOIN sessions s ON s.num = t.session';
    order = 't.last_activity_at, t.session';
    add(query, 't.tag = ?', driver);
  }
  for (const tag of all) add(query, `EXISTS (SELECT 1 FROM tags x WHERE x.tag = ? AND ${HAS_TAG})`, tag);
  if (filter.tags_any?.length)
    add(
      query,
      `EXISTS (SELECT 1 FROM tags x WHERE x.tag IN (${marks(filter.tags_any)}) AND ${HAS_TAG})`,
      ...filter.tags_any,
    );
  if (filter.status?.length) add(query, `s.status IN (${marks(filter.status)})`, ...filter.status);
  for (const column of ['workspace', 'client', 'user_id', 'agent_id', 'task_id'] as const) {
    const value = filter[column];
    if (value !== undefined) add(query, `s.${column} = ?`, value);
  }
  if (filter.active_after !== undefined) add(query, 's.last_activity_at >= ?', filter.active_after);
  if (filter.active_before !== undefined) add(query, 's.last_activity_at < ?', filter.active_before);
  for (const word of filter.text?.split(/\s+/).filter(Boolean) ?? []) {
    const pattern = `%${word.replace(/[\\%_]/g, '\\$&')}%`;
    add(query, "(s.title LIKE ? ESCAPE '\\' OR s.purpose LIKE ? ESCAPE '\\')", pattern, pattern);
  }
  return { query, order };
}

/** The invocations that fit a filter, but for its session. */
export function invocationConditions(filter: OperationArguments<'invocations_list'>): Query {
  const query: Query = { from: 'invocations i', where: [], params: [] };
  for (const column of ['server', 'tool', 'client', 'workspace'] as const) {
    const value = filter[column];
    if (value !== undefined) add(query, `i.${column} = ?`, value);
  }
  if (filter.status?.length) add(query, `i.status IN (${marks(filter.status)})`, ...filter.status);
  if (filter.started_after !== undefined) add(query, 'i.num >= ?', firstNum(Date.parse(filter.started_after)));
  if (filter.started_before !== undefined) add(query, 'i.num < ?', firstNum(Date.parse(filter.started_before)));
  return query;
}

function add(query: Query, condition: string, ...params: (string | number)[]): void {
  query.where.push(condition);
  query.params.push(...params);
}

function marks(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
}
