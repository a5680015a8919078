// Control, bidi and invisible characters can hide or reorder what is read (CVE-2021-42574), so they are shown escaped.
// ZWJ and ZWNJ stay: emoji and several scripts need them. In the `u` mode \p{Cs} is a surrogate without its partner.
const deceptive =
  /[\p{Cc}\p{Cs}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;
const parts = new RegExp(`(${deceptive.source})`, 'u');

/** One run of a text: as it is, or a character that is shown by its escape. */
export interface TextPart {
  readonly text: string;
  readonly escaped: boolean;
}

/** Splits a recorded text into what can be shown as it is and what must be escaped; line breaks and tabs stay on request. */
export function visibleParts(text: string, multiline = false): TextPart[] {
  const result: TextPart[] = [];
  let plain = '';
  for (const part of text.split(parts)) {
    if (part === '') continue;
    if (!deceptive.test(part) || (multiline && (part === '\n' || part === '\t'))) {
      plain += part;
      continue;
    }
    if (plain) result.push({ text: plain, escaped: false });
    plain = '';
    result.push({ text: escapeOf(part), escaped: true });
  }
  if (plain) result.push({ text: plain, escaped: false });
  return result;
}

/** The same as one string, for attributes and titles. */
export function visible(text: string): string {
  return visibleParts(text)
    .map(part => part.text)
    .join('');
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
