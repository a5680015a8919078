/** The upstream of the benchmark over Streamable HTTP: prints its port, then serves. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { echoServer } from './echoServer.ts';

const transports = new Map<string, StreamableHTTPServerTransport>();

const server = createServer(async (request, response) => {
  const id = request.headers['mcp-session-id'];
  let transport = typeof id === 'string' ? transports.get(id) : undefined;
  if (transport === undefined) {
    const made = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: session => {
        transports.set(session, made);
      },
    });
    // the SDK's own types disagree under exactOptionalPropertyTypes
    await echoServer().connect(made as Parameters<ReturnType<typeof echoServer>['connect']>[0]);
    transport = made;
  }
  await transport.handleRequest(request, response);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
