import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runtimeFault } from '../../daemon/runtimeCheck.ts';

describe('runtime check', () => {
  const fault = (node: string, napi?: string) =>
    runtimeFault({ ...process.versions, node, napi } as NodeJS.ProcessVersions);

  it('accepts Node 22.14 and newer with N-API 10, this one too', () => {
    assert.equal(runtimeFault(process.versions), null);
    for (const [node, napi] of [
      ['22.14.0', '10'],
      ['22.100.0', '10'],
      ['24.0.0', '10'],
      ['26.1.0', '11'],
    ] as const)
      assert.equal(fault(node, napi), null);
  });

  it('refuses what is older, and says which it is', () => {
    assert.equal(
      fault('22.13.1', '10'),
      'sessiond needs Node 22.14 or newer, this is Node 22.13.1: install a newer Node',
    );
    assert.match(fault('20.19.0', '10') ?? '', /Node 20\.19\.0/);
    assert.match(fault('23.0.0', '9') ?? '', /N-API 10 or newer, Node 23\.0\.0 has 9/);
    assert.match(fault('22.14.0') ?? '', /has none/);
  });

  it('imports nothing, so that it runs before SQLite is loaded', () => {
    const source = readFileSync(join(import.meta.dirname, '../../daemon/runtimeCheck.ts'), 'utf8');
    assert.equal(/\bimport\b|\brequire\b/.test(source.replaceAll(/\/\*\*[\s\S]*?\*\//g, '')), false);
  });
});
