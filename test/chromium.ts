import { existsSync } from 'node:fs';
import type { Context } from 'mocha';
import { type Browser, chromium } from 'playwright-core';

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The path of a Chromium (env CHROMIUM, else Debian's), or null. */
export function findChromium(): string | null {
  const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
  return existsSync(executablePath) ? executablePath : null;
}

/** Starts a real Chromium (env CHROMIUM, else Debian's); without one the suite is skipped, with a line that says so. */
export async function launchChromium(suite: Context): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === null) {
    console.log('      no Chromium: set CHROMIUM or run .ci/setup.sh to test the page');
    return suite.skip();
  }
  return chromium.launch({ executablePath, headless: true, args: flags });
}
