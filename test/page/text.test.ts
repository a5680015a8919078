import assert from 'node:assert/strict';
import { PAGE_ROWS, PagedRows } from '../../media/pagedRows.ts';
import { prettyJson } from '../../media/prettyJson.ts';
import { sessionLabel } from '../../shared/sessionLabel.ts';
import { visible, visibleParts } from '../../shared/visibleText.ts';

describe('the page shows text as it is', () => {
  it('escapes control, bidi and invisible characters and lone surrogates, and leaves scripts and emoji alone', () => {
    assert.equal(
      visible('a\u202eb\u0000\u001b[1m\u200b\u{e0041}\ud800'),
      'a\\u202eb\\u0000\\u001b[1m\\u200b\\u{e0041}\\ud800',
    );
    assert.equal(visible('naïve שלום 漢字 👩‍💻 می‌خواهم'), 'naïve שלום 漢字 👩‍💻 می‌خواهم');
    assert.deepEqual(visibleParts('a\n\tb\r', true), [
      { text: 'a\n\tb', escaped: false },
      { text: '\\u000d', escaped: true },
    ]);
  });

  it('prints JSON as JSON.stringify does', () => {
    const value = { a: [1, { b: null, 'c"': 'x\ny' }, [], {}], d: true, e: -1.5e21, __proto__: 1 };
    assert.deepEqual(prettyJson(value, 10_000), { text: JSON.stringify(value, null, 2), truncated: false });
    for (const one of ['text', 5, null, [], {}])
      assert.deepEqual(prettyJson(one, 100), { text: JSON.stringify(one, null, 2), truncated: false });
  });

  it('prints a bounded beginning of what is large or deep', () => {
    const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
    const { text, truncated } = prettyJson(deep, 5000);
    assert.deepEqual([text.length, truncated], [5000, true]);
    const long = prettyJson({ text: 'x'.repeat(10_000_000) }, 1000);
    assert.deepEqual([long.text.length, long.truncated], [1000, true]);
  });

  it('names a session by title, purpose, client and folder, in that order', () => {
    const none = { session_id: '0199b3c2-aaaa-7bbb', title: null, purpose: null, client: null, workspace: null };
    assert.equal(sessionLabel({ ...none, title: 'T', purpose: 'P' }), 'T');
    assert.equal(sessionLabel({ ...none, purpose: '\nFirst line\nsecond', client: 'c' }), 'First line');
    assert.equal(sessionLabel({ ...none, client: 'claude-code', workspace: '/src/shop/' }), 'claude-code in shop');
    assert.equal(sessionLabel({ ...none, workspace: 'C:\\src\\shop' }), 'Session in shop');
    assert.equal(sessionLabel(none), 'Session 0199b3c2-aaaa');
  });
});

describe('a paged list that is kept current', () => {
  interface Row {
    id: string;
    at: string;
    n: number;
  }
  const at = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString();
  const make = (n: number): Row => ({ id: `r${n}`, at: at(n), n });
  const listOf = (count: number, gate: Promise<void> = Promise.resolve()) => {
    const all = Array.from({ length: count }, (_, n) => make(count - 1 - n));
    return new PagedRows<Row>({
      key: row => row.id,
      time: row => row.at,
      supersedes: (next, current) => next.n >= current.n,
      async fetchPage({ limit, cursor, before }) {
        const from = cursor === undefined ? 0 : Number(cursor);
        const fitting = all.filter(row => before === undefined || row.at < before);
        const snapshot = fitting.slice(from, from + limit);
        await gate;
        return {
          items: snapshot,
          next_cursor: from + limit < fitting.length ? String(from + limit) : null,
          total: fitting.length,
        };
      },
    });
  };

  it('reads every row once over full pages', async () => {
    const list = listOf(450);
    await list.restart();
    const seen = new Set<string>();
    for (;;) {
      for (const row of list.rows) seen.add(row.id);
      assert.ok(list.rows.length <= PAGE_ROWS);
      if (!list.hasMore) break;
      await list.more();
    }
    assert.equal(seen.size, 450);
    assert.equal(list.newest, false);
    assert.equal(list.total, 450);
  });

  it('puts new rows on top, drops what no longer fits the page and finds it again', async () => {
    const list = listOf(PAGE_ROWS);
    await list.restart();
    while (list.hasMore) await list.more();
    for (let n = PAGE_ROWS; n < PAGE_ROWS + 10; n += 1) list.upsert(make(n));
    assert.equal(list.rows[0]?.id, 'r209');
    assert.deepEqual([list.rows.length, list.rows.at(-1)?.id, list.hasMore], [PAGE_ROWS, 'r10', true]);
    await list.more();
    assert.equal(list.rows[0]?.id, 'r10');
    assert.equal(list.rows.at(-1)?.id, 'r0');
  });

  it('keeps what an event told while the list was being read', async () => {
    let open = () => {};
    const gate = new Promise<void>(resolve => {
      open = resolve;
    });
    const list = listOf(3, gate);
    const reading = list.restart();
    list.upsert(make(7));
    open();
    await reading;
    assert.deepEqual(
      list.rows.map(row => row.id),
      ['r7', 'r2', 'r1', 'r0'],
    );
  });
});
