// Builds dist/: the bin with its worker threads, the extension, the page, and the SQLite binaries beside them.
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const production = process.argv.includes('--production');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
rmSync('dist', { recursive: true, force: true });

const shared = {
  bundle: true,
  sourcemap: !production,
  minify: production,
  legalComments: 'none',
  define: { SESSIOND_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
};
// Bundled CommonJS packages ask for node's own modules by require(), which ESM does not have.
const requireBanner = {
  js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
};

const entries = {
  sessiond: 'daemon/main.ts',
  storeWorker: 'daemon/store/sqlite/storeWorker.ts',
  historyWorker: 'daemon/history/historyWorker.ts',
};
await build({
  ...shared,
  entryPoints: entries,
  outdir: 'dist',
  format: 'esm',
  platform: 'node',
  target: 'node22.14',
  // jsonc-parser's CommonJS form requires its parts by names that a bundle can't follow
  mainFields: ['module', 'main'],
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  banner: requireBanner,
});
chmodSync('dist/sessiond.js', 0o755);

await build({
  ...shared,
  entryPoints: ['extension/extension.ts'],
  outfile: 'dist/extension.cjs',
  format: 'cjs',
  platform: 'node',
  target: 'node22',
  external: ['vscode'],
});

await build({
  ...shared,
  entryPoints: ['media/page.ts', 'media/page.css'],
  outdir: 'dist/media',
  format: 'esm',
  platform: 'browser',
  target: ['es2023', 'chrome120', 'firefox120', 'safari17'],
});
for (const file of ['page.html', 'icon.png', 'icon.svg'])
  if (existsSync(`media/${file}`)) cpSync(`media/${file}`, `dist/media/${file}`);

// A binary a platform, by N-API: the same file serves every Node from 22.14 on.
mkdirSync('dist/sqlite', { recursive: true });
const prebuilds = 'node_modules/better-sqlite3/prebuilds';
for (const file of readdirSync(prebuilds)) cpSync(`${prebuilds}/${file}`, `dist/sqlite/${file}`);
