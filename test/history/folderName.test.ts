import assert from 'node:assert/strict';
import { folderName, safeName, sessionFolderName } from '../../daemon/history/folderName.ts';

describe('names in .history', () => {
  it('say the UTC time to the millisecond, a counter, the server and the tool', () => {
    assert.equal(folderName('2026-11-21T14:23:45.123Z', 'git', 'status', 0), '2026-11-21_14-23-45_123000_git__status');
    assert.equal(
      folderName('2026-11-21T14:23:45.123Z', 'git', 'status', 456),
      '2026-11-21_14-23-45_123456_git__status',
    );
  });

  it('keep letters of every script and nothing that a file system or a terminal takes amiss', () => {
    const nasty = [
      '../../x',
      '..',
      '.hidden',
      '__proto__',
      '👩‍💻 emoji 🎉',
      'right\u202eleft\u2066x',
      'line\nbreak\u0000nul\u001b[31m',
      'C:\\con<>"|?*',
      'ends.',
      'x'.repeat(5000),
      '名'.repeat(300),
      '\ud800',
      '',
    ];
    for (const name of nasty) {
      const safe = safeName(name);
      assert.match(safe, /^(?!\.)[\p{L}\p{N}\p{M}._-]{1,80}(?<!\.)$/u, JSON.stringify(name));
      assert.ok(!safe.includes('..'), safe);
      assert.ok(Buffer.byteLength(folderName('2026-11-21T14:23:45.123Z', 'srv', name, 999)) <= 143, safe);
    }
    assert.equal(safeName('__proto__'), '__proto__');
    assert.equal(safeName('größe_名前'), 'größe_名前');
  });

  it('are never a device of Windows for a session', () => {
    assert.equal(sessionFolderName('CON', 0), 'CON~');
    assert.equal(sessionFolderName('com1', 0), 'com1~');
    assert.equal(sessionFolderName('console', 0), 'console');
    assert.notEqual(sessionFolderName('console', 1), 'console');
  });
});
