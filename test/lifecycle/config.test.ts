import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { loadConfig, serverFault } from '../../daemon/configCheck.ts';
import { addServer, removeServer } from '../../daemon/configEdit.ts';
import { isPlainServer } from '../../daemon/configQuick.ts';
import { temporaryFolder } from './temporaryHome.ts';

describe('config', () => {
  const folder = temporaryFolder();
  const path = () => join(folder.path, 'config.json');
  const load = (text: string | Buffer) => {
    writeFileSync(path(), text);
    return loadConfig(path());
  };

  it('is empty without a file, or with an empty one', () => {
    for (const { config, faults } of [
      loadConfig(path()),
      load(''),
      load(' \n'),
      load('{}'),
      load('// nothing yet\n'),
    ]) {
      assert.deepEqual(
        { ...config, mcpServers: { ...config.mcpServers } },
        { mcpServers: {}, port: 0, durability: 'process' },
      );
      assert.deepEqual(faults, []);
    }
  });

  it('takes comments, trailing commas, a byte order mark, and keys of other programs', () => {
    const { config, faults } = load(`\uFEFF{
      // where it listens
      "port": 4711, /* fixed */ "durability": "power",
      "inputs": [],
      "mcpServers": { "files": { "command": "npx", "args": ["-y", "x",], "gallery": true, }, },
    }`);
    assert.deepEqual(faults, []);
    assert.equal(config.port, 4711);
    assert.equal(config.durability, 'power');
    assert.deepEqual(config.mcpServers.files, { command: 'npx', args: ['-y', 'x'], gallery: true });
  });

  it('takes servers as VS Code calls them, and both at once', () => {
    const { config } = load(
      '{"servers": {"a": {"type": "http", "url": "https://x.test/mcp"}}, "mcpServers": {"b": {"command": "b"}}}',
    );
    assert.deepEqual(Object.keys(config.mcpServers).sort(), ['a', 'b']);
  });

  const faulty: Record<string, [server: string, message: RegExp]> = {
    '{\n "mcpServers": {"good": {"command": "x"},\n  "bad": {"command": "x",\n   "args": [1]}}}': [
      'bad',
      /config\.json:4:13: server "bad": args\[0\] 1: expected string/,
    ],
    '{"mcpServers": {"good": {"command": "x"}, "bad": {}}}': [
      'bad',
      /:1:50: server "bad": has neither "command" nor "url"/,
    ],
    '{"mcpServers": {"good": {"command": "x"}, "bad": {"url": "ftp://x"}}}': ['bad', /:1:58: server "bad": url "ftp:/],
    '{"mcpServers": {"good": {"command": "x"}, "a__b": {"command": "x"}}}': ['a__b', /no "__".*another name/],
    '{"mcpServers": {"good": {"command": "x"}, "__proto__": {"command": "x"}}}': ['__proto__', /another name/],
    '{"mcpServers": {"good": {"command": "x"}, "bad": "npx"}}': ['bad', /server "bad": /],
    '{"mcpServers": {"good": {"command": "x"}, "bad": {"command": "x", "env": {"A": 1}}}}': [
      'bad',
      /:1:80: server "bad": env\.A \(not shown\)/,
    ],
  };
  for (const [text, [server, message]] of Object.entries(faulty))
    it(`leaves out one server with a fault, and no other: ${text.replaceAll(/\s+/g, ' ').slice(42)}`, () => {
      const { config, faults } = load(text);
      assert.deepEqual(Object.keys(config.mcpServers), ['good']);
      assert.equal(faults.length, 1);
      assert.equal(faults[0]?.server, server);
      assert.match(faults[0]?.message ?? '', message);
    });

  it('tells of a server that is there twice, and uses the later one', () => {
    const { config, faults } = load('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}');
    assert.deepEqual({ ...config.mcpServers }, { a: { command: 'y' } });
    assert.match(faults[0]?.message ?? '', /:1:22: server "a" is there twice/);
  });

  it('knows no server that is not there, not even one called as an object has it', () => {
    const { config } = load('{"mcpServers": {"constructor": {"command": "x", "env": {"__proto__": "y"}}}}');
    assert.equal(config.mcpServers.toString, undefined);
    const inherited = load('{"mcpServers": {"a": {"command": "x", "__proto__": {"disabled": true}}}}');
    assert.equal(inherited.config.mcpServers.a?.disabled, undefined);
    assert.equal(Object.getPrototypeOf({}).command, undefined);
  });

  const broken: Record<string, RegExp> = {
    '{\n  "mcpServers": {\n    "a": {"command" "x"}\n}}': /config\.json:3:21: colon expected/,
    '{"mcpServers": ': /config\.json:1:/,
    '[]': /config\.json:1:1: holds an array: make it an object/,
    '{"mcpServers": []}': /:1:16: "mcpServers" is an array: make it an object/,
    '{"port": 70000}': /:1:10: "port" is 70000: use 0 to 65535/,
    '{"port": "80"}': /"port" is "80"/,
    '{"port": null}': /"port" is null/,
    '{"port": {}}': /"port" is \{\}/,
    '{"durability": "disk"}': /"durability" is "disk": use "process" or "power"/,
  };
  for (const [text, message] of Object.entries(broken))
    it(`is refused with the place: ${text.replaceAll(/\s+/g, ' ')}`, () => {
      assert.throws(() => load(text), { code: 'config_invalid', message });
    });

  it('is refused when it is not UTF-8 or no file', () => {
    assert.throws(() => load(Buffer.from('\uFEFF{}', 'utf16le')), {
      code: 'config_invalid',
      message: /save it as UTF-8/,
    });
    mkdirSync(join(folder.path, 'folder'));
    assert.throws(() => loadConfig(join(folder.path, 'folder')), { code: 'config_invalid', message: /can't be read/ });
  });

  it('gains and loses a server, and all else stays as it was written', () => {
    const text =
      '{\n    // mine\n    "servers": {\n        "a": { "command": "x" } // first\n    },\n    "port": 1, // last\n}\n';
    writeFileSync(path(), text);
    addServer(path(), 'b', { command: 'y' });
    assert.equal(
      readFileSync(path(), 'utf8'),
      '{\n    // mine\n    "servers": {\n        "a": { "command": "x" }, // first\n        "b": {\n            "command": "y"\n        }\n    },\n    "port": 1, // last\n}\n',
    );
    assert.deepEqual(loadConfig(path()).config.mcpServers.b, { command: 'y' });
    assert.equal(statSync(path()).mode & 0o777, 0o600);
    assert.deepEqual(removeServer(path(), 'b'), { command: 'y' });
    assert.deepEqual(Object.keys(loadConfig(path()).config.mcpServers), ['a']);
    assert.equal(readFileSync(path(), 'utf8'), text);
    assert.deepEqual(readdirSync(folder.path), ['config.json']);
  });

  for (const text of [
    '',
    '// nothing\n',
    '{}',
    '{"port": 1}',
    '{"port": 1,}',
    '{"port": 1 /* , */ /**/}',
    '{"mcpServers": {}}',
    '{\r\n\t"mcpServers": {\r\n\t\t// none yet\r\n\t}\r\n}',
    '{"mcpServers": {"a": {"command": "x"}, // ,\n}}',
    '{"mcpServers": {"a": {"command": "x"} /* c */ , /* d */ }, "servers": {}}',
    '{"servers": {"a": {"command": "x"}}}',
  ])
    it(`gains and loses a server in ${JSON.stringify(text)}`, () => {
      writeFileSync(path(), text);
      const before = Object.keys(loadConfig(path()).config.mcpServers);
      addServer(path(), 'b', { command: 'y', args: ['1'] });
      const { config, faults } = loadConfig(path());
      assert.deepEqual(faults, []);
      assert.deepEqual(Object.keys(config.mcpServers), [...before, 'b']);
      assert.deepEqual(config.mcpServers.b, { command: 'y', args: ['1'] });
      for (const comment of text.match(/\/\/.*|\/\*.*?\*\//g) ?? [])
        assert.ok(readFileSync(path(), 'utf8').includes(comment), comment);
      removeServer(path(), 'b');
      assert.deepEqual(Object.keys(loadConfig(path()).config.mcpServers), before);
      for (const name of before) removeServer(path(), name);
      assert.deepEqual(Object.keys(loadConfig(path()).config.mcpServers), []);
      for (const comment of text.match(/\/\/.*|\/\*.*?\*\//g) ?? [])
        assert.ok(readFileSync(path(), 'utf8').includes(comment), comment);
    });

  it('is made by the first server', () => {
    addServer(path(), 'a.b', { command: 'x' });
    assert.equal(
      readFileSync(path(), 'utf8'),
      '{\n  "mcpServers": {\n    "a.b": {\n      "command": "x"\n    }\n  }\n}\n',
    );
  });

  it('refuses a name that is taken, wrong or unknown, and changes nothing', () => {
    addServer(path(), 'a', { command: 'x' });
    const before = readFileSync(path(), 'utf8');
    assert.throws(() => addServer(path(), 'a', { command: 'y' }), { code: 'conflict', message: /server a is in/ });
    assert.throws(() => addServer(path(), '__proto__', { command: 'y' }), { code: 'invalid_input' });
    assert.throws(() => addServer(path(), 'b', { command: '' }), {
      code: 'invalid_input',
      message: /server "b": command/,
    });
    assert.throws(() => removeServer(path(), '__proto__'), { code: 'not_found', message: /there are: a$/ });
    assert.equal(readFileSync(path(), 'utf8'), before);
  });

  it('loses a server that is there twice or is wrong', () => {
    writeFileSync(
      path(),
      '{"mcpServers": {"a": {"command": "x"}, "b": 1, "a": {"command": "y"}}, "servers": {"a": {}}}',
    );
    assert.equal(removeServer(path(), 'a'), null);
    assert.equal(removeServer(path(), 'b'), null);
    assert.deepEqual(loadConfig(path()).faults, []);
  });

  it('stays a link when it is one', () => {
    const real = join(folder.path, 'dotfiles.json');
    writeFileSync(real, '{}');
    symlinkSync(real, path());
    addServer(path(), 'a', { command: 'x' });
    assert.ok(lstatSync(path()).isSymbolicLink());
    assert.ok(readFileSync(real, 'utf8').includes('"a"'));
  });

  it('is judged by the quick check as by the schema, which never accepts less', () => {
    const maybe = (...values: unknown[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
    const texts = maybe({}, { A: 'x' }, { A: 1 }, [], null, 'x');
    const config = fc
      .record({
        type: maybe('stdio', 'http', 'streamable-http', 'streamableHttp', 'sse', 1, null),
        command: maybe('npx', '', 1, null),
        args: maybe([], ['a'], [1], 'a'),
        env: texts,
        cwd: maybe('/x', 1),
        url: maybe(
          'https://x.test/mcp',
          'http://127.0.0.1:1',
          'ftp://x',
          'x',
          'http://',
          'http:/x',
          'http:// x',
          'HTTP://x.test',
          1,
        ),
        headers: texts,
        disabled: maybe(true, 'yes', null),
        inject: maybe('auto', 'always', 'never', 'x'),
        timeout_ms: maybe(1, 0, -1, 1.5, '1', 1e20),
        startup_timeout_ms: maybe(1, 0),
        other: maybe(1),
      })
      .map(value => Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)));
    let accepted = 0;
    fc.assert(
      fc.property(fc.constantFrom('a', 'a.b', 'a__b', '_a', '', 'A'.repeat(33)), config, (name, value) => {
        const quick = isPlainServer(name, value);
        const full = serverFault(name, value) === null;
        if (quick) accepted++;
        assert.ok(full || !quick, `the quick check accepts ${name} ${JSON.stringify(value)}`);
      }),
      { numRuns: 20_000 },
    );
    assert.ok(accepted > 0);
    for (const good of [
      { command: 'npx', args: ['-y'], env: { A: 'x' }, type: 'stdio', gallery: 1 },
      { url: 'https://x.test/mcp', headers: { a: 'b' } },
    ])
      assert.ok(isPlainServer('a', good));
  });
});
