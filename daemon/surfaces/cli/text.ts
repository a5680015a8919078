import { styleText } from 'node:util';

// CSI, OSC, DCS, SOS, PM and APC sequences, in their 7-bit and 8-bit forms (ECMA-48), up to their end or that of the text.
const SEQUENCES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it takes out
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g;
// Bidirectional marks, embeddings and isolates; the byte order mark; invisible tag characters.
const INVISIBLE = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * Makes text of a record safe to print: control characters, terminal sequences (OSC, ANSI) and bidirectional marks are
 * taken out. Keeps tabs and line feeds.
 */
export function plainLines(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[\u2028\u2029]/g, '\n')
    .replace(SEQUENCES, '')
    .replace(CONTROLS, '')
    .replace(INVISIBLE, '');
}

/** The same on one line: line breaks and tabs become spaces. */
export function plain(text: string): string {
  return plainLines(text).replace(/\s+/g, ' ').trim();
}

/** JSON of the same value that is safe on a terminal: what plain() takes out stands as \u escapes. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu,
    character => [...Array(character.length).keys()].map(at => escapeUnit(character.charCodeAt(at))).join(''),
  );
}

/** The time of day where the user is: `14:23:45`. */
export function clockTime(timestamp: string): string {
  return new Date(timestamp).toTimeString().slice(0, 8);
}

/** How long ago, in one unit: `12 s`, `5 min`, `3 h`, `9 d`. */
export function age(timestamp: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(timestamp)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A duration of milliseconds: `3 ms`, `1.2 s`, `4 min`. */
export function duration(ms: number | null): string {
  if (ms === null) return '';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min`;
}

/** A size: `812 B`, `1.2 MB` (powers of 1000). */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export type Tone = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';
/** Colours `text`, or leaves it as it is. */
export type Paint = (tone: Tone, text: string) => string;

/** Colours on a terminal, or with FORCE_COLOR, unless NO_COLOR, TERM=dumb or --no-color say otherwise. */
export function painter(isTerminal: boolean, environment: NodeJS.ProcessEnv, argv: readonly string[]): Paint {
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  const wanted = isTerminal || Boolean(environment.FORCE_COLOR);
  const on = wanted && !environment.NO_COLOR && environment.TERM !== 'dumb' && !flags.includes('--no-color');
  return on ? (tone, text) => styleText(tone, text, { validateStream: false }) : (_, text) => text;
}

function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
