/** The upstream of the benchmark on stdio: one tool, official SDK. */
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { echoServer } from './echoServer.ts';

await echoServer().connect(new StdioServerTransport());
process.stdin.on('end', () => process.exit(0));
