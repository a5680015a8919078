import assert from 'node:assert/strict';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { Client } from '../../shared/client.ts';
import { launchChromium } from '../chromium.ts';
import type { RawClient } from '../support/rawClient.ts';
import { DaemonProcess, until } from './daemonProcess.ts';

const hostile = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';

describe('the page in a real browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let daemon: DaemonProcess;
  let client: Client;
  let assistant: RawClient;
  let page: Page;
  let faults: string[] = [];
  let origins = new Set<string>();

  before(async function () {
    browser = await launchChromium(this);
    daemon = await DaemonProcess.start();
    client = await daemon.client();
    assistant = await daemon.assistant();
  });
  after(async () => {
    await browser?.close();
    await assistant?.close();
    await daemon?.remove();
  });
  beforeEach(async () => {
    faults = [];
    origins = new Set();
    context = await browser.newContext();
    page = await context.newPage();
    page.on('request', request => origins.add(new URL(request.url()).origin));
    page.on('pageerror', error => faults.push(String(error)));
    page.on('console', message => {
      if (/Content Security Policy|violates/i.test(message.text())) faults.push(message.text());
    });
  });
  afterEach(async () => {
    const own = new URL((await client.pageLink()).url).origin;
    await context.close();
    assert.deepEqual(faults, []);
    assert.deepEqual([...origins], [own]);
  });

  const open = async (hash = '') => {
    await page.goto((await client.pageLink()).url + hash);
    await page.locator('#connection[data-state=live]').waitFor();
  };
  const row = (text: string) => page.locator('.session-row', { hasText: text });
  const callRow = (tool: string) => page.locator('.call-row', { hasText: tool });
  const focusedText = () =>
    page.evaluate(() =>
      document.activeElement === document.body ? 'the document' : (document.activeElement?.textContent ?? ''),
    );
  const focusOn = (text: string) =>
    until(`focus on ${text}`, 5000, async () => ((await focusedText()).includes(text) ? true : null));

  it('says how to connect an assistant while there is no session, and shows the first one without a reload', async () => {
    await open();
    await page.getByText('No sessions yet').waitFor();
    await page.getByText(`${daemon.home}/bin/sessiond`).first().waitFor();
    await client.call('sessions_create', { title: 'The very first' });
    await row('The very first').waitFor();
    assert.equal(await page.getByText('No sessions yet').count(), 0);
  });

  it('shows a call as it starts and as it ends, with its arguments and its result', async () => {
    await client.call('sessions_create', { session_id: 'live', title: 'Live calls' });
    await open('#/session/live');
    await page.getByText('No calls yet').waitFor();
    const slow = assistant.call('slow', { session_id: 'live', ms: 1200 });
    await callRow('slow').and(page.locator(':has(.status[data-status=running])')).waitFor();
    await callRow('slow').click();
    await page.getByText('Still running.').waitFor();
    await slow;
    await callRow('slow').and(page.locator(':has(.status[data-status=completed])')).waitFor();
    await page.locator('.call-detail pre', { hasText: 'after 1200' }).waitFor();
    assert.match((await page.locator('.call-detail pre').first().textContent()) ?? '', /^\{\n {2}"ms": 1200\n\}$/);
    await row('Live calls').filter({ hasText: '1 call' }).waitFor();
  });

  it('shows an error with what the server said', async () => {
    await assistant.call('rpc_error', { session_id: 'live' });
    await open('#/session/live');
    await callRow('rpc_error').click();
    await page.locator('.call-detail .fault', { hasText: 'my own error' }).waitFor();
    await page.locator('.call-detail pre', { hasText: '-31999' }).waitFor();
    await row('Live calls').filter({ hasText: '1 error' }).waitFor();
  });

  it('shows hostile records as text, with what could deceive escaped', async () => {
    await client.call('sessions_create', { session_id: 'hostile', title: `${hostile} \u202egnp.exe` });
    await assistant.call('echo', { session_id: 'hostile', message: `${hostile}\u001b[31m\u202e\u200bend` });
    await open('#/session/hostile');
    await callRow('echo').click();
    const text = (await page.locator('.call-detail').textContent()) ?? '';
    assert.ok(text.includes(`${hostile}\\u001b[31m\\u202e\\u200bend`), text);
    const heading = await page.locator('#detail h2').textContent();
    assert.equal(heading, `${hostile} \\u202egnp.exe`);
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.ok(!(await page.title()).includes('\u202e'));
    assert.notEqual(await page.title(), 'owned');
  });

  it('shows the calls of all sessions in one list', async () => {
    await open();
    await page.getByRole('link', { name: 'All calls' }).click();
    await callRow('rpc_error').waitFor();
    await callRow('echo').waitFor();
    await assistant.call('numbers', { session_id: 'live' });
    await callRow('numbers').waitFor();
  });

  it('is used by the keyboard alone: filter, arrows, Enter, Escape', async () => {
    await open();
    await row('Live calls').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('calls');
    await until('the filter', 5000, async () => ((await page.locator('.session-row').count()) === 1 ? true : null));
    await page.keyboard.press('Escape');
    await row('The very first').waitFor();
    await page.keyboard.press('ArrowDown');
    const first = await focusedText();
    await page.keyboard.press('ArrowDown');
    assert.notEqual(await focusedText(), first);
    await page.keyboard.press('Home');
    assert.equal(await focusedText(), first);
    await page.keyboard.press('End');
    await focusOn('The very first');
    await page.keyboard.press('Enter');
    await page.locator('#detail h2', { hasText: 'The very first' }).waitFor();
    await focusOn('The very first');
    await page.keyboard.press('Escape');
    await until('the row', 5000, async () =>
      (await page.evaluate(() => document.activeElement?.className)) === 'session-row' ? true : null,
    );
    await focusOn('The very first');
  });

  it('keeps focus on the row that it is on while the list changes around it', async () => {
    await open();
    await row('The very first').focus();
    await client.call('sessions_create', { title: 'Newer than all' });
    await row('Newer than all').waitFor();
    await focusOn('The very first');
    await client.call('sessions_update', { session_id: 'live', title: 'Renamed' });
    await row('Renamed').waitFor();
    await focusOn('The very first');
    await row('Renamed').focus();
    await assistant.call('echo', { session_id: 'live', message: 'moves its session to the top' });
    await page.locator('.rows li:first-child .session-row', { hasText: 'Renamed' }).waitFor();
    await focusOn('Renamed');
  });

  it('filters by status, and takes a session off the list that no longer fits', async () => {
    const { session_id } = await client.call('sessions_create', { title: 'Soon done', tags: ['quick'] });
    await open();
    await page.getByLabel('Status').selectOption('created');
    await row('Soon done').filter({ hasText: 'quick' }).waitFor();
    await until('others gone', 5000, async () => ((await row('Renamed').count()) === 0 ? true : null));
    await client.call('sessions_complete', { session_id });
    await row('Soon done').waitFor({ state: 'detached' });
  });

  it('says so when a deep link leads nowhere', async () => {
    await open('#/session/nowhere');
    await page.getByRole('alert').filter({ hasText: 'nowhere' }).waitFor();
  });

  it('loads more than fifty sessions on request', async () => {
    for (let n = 0; n < 60; n += 1) await client.call('sessions_create', { title: `Many ${n}` });
    await open();
    await row('Many 59').waitFor();
    assert.equal(await page.locator('.session-row').count(), 50);
    await page.getByRole('button', { name: 'Load more' }).click();
    await row('The very first').waitFor();
    assert.ok((await page.locator('.session-row').count()) > 60);
  });

  it('says at once that the daemon is away, and shows what it missed when it is back', async () => {
    await open();
    await daemon.kill();
    await page.getByText('Daemon not reachable, retrying').waitFor({ timeout: 2000 });
    client = await daemon.resume();
    await client.call('sessions_create', { title: 'Made in between' });
    await row('Made in between').waitFor({ timeout: 10_000 });
    await page.locator('#connection[data-state=live]').waitFor();
  });
});
