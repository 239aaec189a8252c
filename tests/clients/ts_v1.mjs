// The official TypeScript SDK, line 1: speaks 2025-11-25 and earlier. Usage: ts_v1.mjs URL
import { exercise, load, requestInit, url, versionOf } from './common.mjs';

const PACKAGE = '@modelcontextprotocol/sdk';
const { Client } = load(`${PACKAGE}/client/index.js`);
const { StreamableHTTPClientTransport } = load(`${PACKAGE}/client/streamableHttp.js`);

await exercise('typescript-v1', versionOf(PACKAGE), async () => {
  const client = new Client({ name: 'stand-ts-v1', version: '1' });
  const transport = new StreamableHTTPClientTransport(url, { requestInit });
  await client.connect(transport);
  return {
    negotiated: () => transport.protocolVersion,
    listTools: () => client.listTools(),
    call: (tool, onprogress) => client.callTool(tool, undefined, { timeout: 30_000, onprogress }),
    close: () => client.close(),
  };
});
