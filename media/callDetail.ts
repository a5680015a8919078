import type { InvocationDetail } from '../shared/invocation.ts';
import { copyButton, element, showText, textElement } from './dom.ts';
import { bytes, exactTime } from './format.ts';
import { prettyJson } from './prettyJson.ts';

const FIRST_SHOWN = 20_000;
const STEP_SHOWN = 500_000;

/** Everything recorded of one call: facts, arguments, and its result or error. */
export function callDetail(call: InvocationDetail): HTMLElement {
  const facts = element('dl', { class: 'facts' });
  const fact = (name: string, value: string | null) => {
    if (value !== null && value !== '')
      facts.append(element('div', {}, element('dt', {}, name), textElement('dd', '', value)));
  };
  fact('Started', exactTime(call.started_at));
  fact('Client', [call.client, call.client_version].filter(Boolean).join(' '));
  fact('Workspace', call.workspace);
  fact('Conversation', call.conversation_id);
  fact('Session by', call.attribution);
  fact('Invocation', call.invocation_id);
  fact('Folder', call.history_dir === null ? null : `.history/${call.history_dir}`);
  const sections = [jsonSection('Arguments', call.arguments, call.arguments_bytes)];
  if (call.error !== null) sections.push(jsonSection('Error', call.error, call.result_bytes));
  if (call.result !== null) sections.push(...resultSections(call));
  if (call.error === null && call.result === null)
    sections.push(
      element('p', { class: 'hint' }, call.status === 'running' ? 'Still running.' : 'No result was recorded.'),
    );
  if (call.meta !== null) sections.push(jsonSection('Request _meta', call.meta, null, true));
  const detail = element('div', { class: 'call-detail' });
  if (call.error_message !== null) detail.append(textElement('p', 'fault', call.error_message));
  if (call.redacted) detail.append(element('p', { class: 'hint' }, 'A secret was taken out before this was written.'));
  detail.append(facts, ...sections);
  return detail;
}

function resultSections(call: InvocationDetail): HTMLElement[] {
  const texts = textBlocks(call.result);
  if (texts.length === 0) return [jsonSection('Result', call.result, call.result_bytes)];
  const readable = texts.map((text, at) =>
    section(texts.length === 1 ? 'Result text' : `Result text ${at + 1}`, bytes(text.length), longText(text), text),
  );
  return [...readable, jsonSection('Result as JSON', call.result, call.result_bytes, true)];
}

/** The text of an MCP result's text blocks, which JSON would show with its line breaks escaped. */
function textBlocks(result: InvocationDetail['result']): string[] {
  if (result === null || typeof result !== 'object' || Array.isArray(result) || !Array.isArray(result.content))
    return [];
  return result.content.flatMap(block => {
    if (block === null || typeof block !== 'object' || Array.isArray(block)) return [];
    return block.type === 'text' && typeof block.text === 'string' ? [block.text] : [];
  });
}

function jsonSection(name: string, value: unknown, size: number | null, folded = false): HTMLElement {
  const note = size === null ? '' : bytes(size);
  if (!folded) return section(name, note, longJson(value), () => JSON.stringify(value, null, 2));
  const details = element('details', {}, element('summary', {}, name, ' ', element('span', { class: 'size' }, note)));
  // Printed only once asked for: most results are looked at as text.
  details.addEventListener('toggle', () => details.append(longJson(value)), { once: true });
  return details;
}

function section(name: string, note: string, body: HTMLElement, copied: string | (() => string)): HTMLElement {
  return element(
    'section',
    {},
    element(
      'div',
      { class: 'section-head' },
      element('h4', {}, name),
      element('span', { class: 'size' }, note),
      copyButton('Copy', () => (typeof copied === 'string' ? copied : copied())),
    ),
    body,
  );
}

function longJson(value: unknown): HTMLElement {
  return growing(limit => prettyJson(value, limit));
}

function longText(text: string): HTMLElement {
  return growing(limit => ({ text: text.slice(0, limit), truncated: text.length > limit }));
}

function growing(print: (limit: number) => { text: string; truncated: boolean }): HTMLElement {
  const pre = element('pre', { tabindex: '0' });
  const button = element('button', { type: 'button', class: 'quiet' }, 'Show more');
  let limit = FIRST_SHOWN;
  const show = () => {
    const { text, truncated } = print(limit);
    showText(pre, text, true);
    if (!truncated) button.remove();
  };
  button.addEventListener('click', () => {
    limit += STEP_SHOWN;
    show();
  });
  const box = element('div', {}, pre, button);
  show();
  return box;
}
