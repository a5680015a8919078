import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { DaemonError, errorBody, errorTable } from '../../shared/errors.ts';

/** Headers of every answer. The page may load its own script, style and images, and nothing from elsewhere. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** What a request is checked by. */
export type RequestHead = Pick<IncomingMessage, 'method' | 'url' | 'headers'>;

/** The whole answer to a request that goes no further. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Security {
  /** Null when the request may go on; otherwise the answer to give. Redeems a one-time link, so ask once a request. */
  authorize(request: RequestHead): Answer | null;
  /** A link to the page that works once, within a minute. */
  mintPageLink(): { url: string; expires_at: string };
}

export interface SecurityOptions {
  readonly token: string;
  /** The port that is listened on. */
  readonly port: () => number;
  readonly now?: () => number;
}

const LINK_LIFE_MS = 60_000;
const MOST_LINKS = 32;

/**
 * The check before every route: method, Host, Origin, then the token (all but /health) or, for a browser, the cookie that
 * a one-time link gave it. The cookie is derived from the token: it outlives a restart, and the token never reaches a page.
 */
export function createSecurity({ token, port, now = Date.now }: SecurityOptions): Security {
  const tokenBytes = Buffer.from(token);
  const cookie = createHmac('sha256', token).update('sessiond page cookie').digest('base64url');
  const cookieHash = sha256(cookie);
  const links = new Map<string, number>();

  function redeem(key: string): boolean {
    const hash = sha256(key).toString('hex');
    const expires = links.get(hash);
    links.delete(hash);
    return expires !== undefined && now() < expires;
  }

  function check(request: RequestHead): Answer | null {
    const { method = '', url = '', headers } = request;
    if (method === 'TRACE' || method === 'CONNECT') return refuse(405, 'unsupported', `${method} is not served here`);
    if (headers.upgrade?.toLowerCase().includes('websocket'))
      return refuse(400, 'unsupported', 'WebSocket is not served here: follow /events instead');
    if (!url.startsWith('/'))
      return refuse(400, 'invalid_input', `request target ${JSON.stringify(url.slice(0, 80))}: use a path`);
    const host = headers.host?.toLowerCase();
    const own = [`127.0.0.1:${port()}`, `localhost:${port()}`, `[::1]:${port()}`];
    if (host === undefined || !own.includes(host))
      return refuse(403, 'forbidden', `Host ${JSON.stringify(host ?? '')} is not this daemon's: use ${own[0]}`);
    const { origin } = headers;
    if (origin !== undefined && origin.toLowerCase() !== `http://${host}`)
      return refuse(403, 'forbidden', `Origin ${JSON.stringify(origin)} is foreign: only pages of this daemon may ask`);
    const [path = '', query = ''] = url.split('?', 2);
    if (path === '/health') return null;
    if (headers.authorization !== undefined)
      return bearerFits(headers.authorization) ? null : unauthorized('the bearer token is wrong');
    if (path === '/' && method === 'GET') {
      const key = new URLSearchParams(query).get('key');
      if (key !== null)
        return redeem(key) ? welcome(headers) : closedDoor('This link was used already, or is too old.');
    }
    const carried = cookieValue(headers.cookie, cookieName());
    if (carried === undefined || !timingSafeEqual(sha256(carried), cookieHash))
      return path === '/' && (method === 'GET' || method === 'HEAD')
        ? closedDoor('This page opens by a one-time link.')
        : unauthorized('no token');
    return fetchedFromPage(method, headers)
      ? null
      : refuse(403, 'forbidden', "the page's cookie works only for requests of the page itself");
  }

  function bearerFits(authorization: string): boolean {
    const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (given === undefined) return false;
    const bytes = Buffer.from(given);
    return bytes.length === tokenBytes.length && timingSafeEqual(bytes, tokenBytes);
  }

  /** Cookies are shared by all ports of a host: the name keeps two daemons apart. */
  function cookieName(): string {
    return `sessiond_${port()}`;
  }

  function welcome(headers: RequestHead['headers']): Answer {
    const setCookie = `${cookieName()}=${cookie}; Path=/; HttpOnly; SameSite=Strict`;
    const site = headers['sec-fetch-site'];
    if (site === undefined || site === 'none' || site === 'same-origin')
      return { status: 303, headers: { ...securityHeaders, location: '/', 'set-cookie': setCookie }, body: '' };
    // After a link on another site a redirect still counts as that site's, and a strict cookie would not be sent.
    const answer = htmlAnswer(200, '<meta http-equiv="refresh" content="0;url=/"><title>sessiond</title>');
    return { ...answer, headers: { ...answer.headers, 'set-cookie': setCookie } };
  }

  return {
    authorize: check,
    mintPageLink() {
      for (const [hash, expires] of links) if (links.size >= MOST_LINKS || expires <= now()) links.delete(hash);
      const key = randomBytes(32).toString('base64url');
      const expires = now() + LINK_LIFE_MS;
      links.set(sha256(key).toString('hex'), expires);
      return { url: `http://127.0.0.1:${port()}/?key=${key}`, expires_at: new Date(expires).toISOString() };
    },
  };
}

/** The answer to `error` as every route gives it: status of the error table, JSON body. */
export function errorAnswer(error: DaemonError, status: number = errorTable[error.code].http): Answer {
  const headers = { ...securityHeaders, 'content-type': 'application/json; charset=utf-8' };
  return { status, headers, body: JSON.stringify(errorBody(error)) };
}

function refuse(status: number, code: DaemonError['code'], message: string): Answer {
  return errorAnswer(new DaemonError(code, message), status);
}

function unauthorized(why: string): Answer {
  const how = 'send `Authorization: Bearer TOKEN`; the token is in the file `token` of the home (~/.sessiond)';
  const answer = refuse(401, 'unauthorized', `${why}: ${how}`);
  return { ...answer, headers: { ...answer.headers, 'www-authenticate': 'Bearer realm="sessiond"' } };
}

function closedDoor(why: string): Answer {
  return htmlAnswer(
    401,
    `<title>sessiond</title><h1>sessiond</h1><p>${why}</p><p>Run <code>sessiond open</code> in a terminal for a new one.</p>`,
  );
}

function htmlAnswer(status: number, inner: string): Answer {
  const head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">';
  return {
    status,
    headers: { ...securityHeaders, 'content-type': 'text/html; charset=utf-8' },
    body: `${head}${inner}</html>\n`,
  };
}

/** A cookie comes along with whatever a browser sends; only its fetch metadata tells who made it send. */
function fetchedFromPage(method: string, headers: RequestHead['headers']): boolean {
  const site = headers['sec-fetch-site'];
  if (site === undefined) return method === 'GET' || method === 'HEAD';
  return site === 'same-origin' || site === 'none';
}

function cookieValue(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const [key, value] = pair.trim().split('=', 2);
    if (key === name) return value;
  }
  return undefined;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
