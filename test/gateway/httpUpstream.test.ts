import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { Sessiond } from '../support/sessiond.ts';

interface Asked {
  id?: number;
  method: string;
  params: { protocolVersion?: string; name?: string };
}

/** Ways not to answer a call over HTTP, by the name of the tool. */
const ways: Record<string, (response: ServerResponse, id: number | undefined) => void> = {
  page: response => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>'),
  nothing: response => response.writeHead(202).end(),
  other: (response, id) => response.writeHead(200, { 'content-type': 'application/json' }).end(`{"jobOf":${id}}`),
  half: response => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
    response.write('{"jsonrpc":"2.0",', () => response.destroy());
  },
};

describe('an upstream over HTTP', () => {
  let server: Server;
  let home: Sessiond;
  before(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (chunk: string) => {
        body += chunk;
      });
      request.on('end', () => {
        if (request.method !== 'POST') return response.writeHead(405).end();
        const { id, method, params } = JSON.parse(body) as Asked;
        if (method === 'tools/call') return ways[params.name ?? '']?.(response, id);
        if (id === undefined) return response.writeHead(202).end();
        const { protocolVersion } = params;
        const result = { protocolVersion, capabilities: {}, serverInfo: { name: 'broken', version: '1' } };
        return response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      });
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    home = new Sessiond({ mcpServers: { remote: { type: 'http', url: `http://127.0.0.1:${port}/mcp` } } });
    home.start();
  });
  after(async () => {
    await home.end();
    server.closeAllConnections();
    server.close();
  });

  for (const [name, expected] of [
    ['page', /answered HTTP 200 at .*Sign in/],
    ['nothing', /answered HTTP 202/],
    ['other', /answered HTTP 200 at .*jobOf/],
    ['half', /closed the connection before its answer was whole/],
  ] as const) {
    it(`that answers a call with ${name === 'half' ? 'half a message' : `no message (${name})`}: an error that says so`, async () => {
      const client = home.raw(['stdio']);
      await client.initialize();
      const answer = await client.request('tools/call', { name: `remote__${name}`, arguments: {} }, 5_000);
      assert.match(answer.error?.message ?? '', expected);
      await client.close();
    });
  }
});
