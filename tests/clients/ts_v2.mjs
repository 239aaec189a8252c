// The official TypeScript client, line 2: speaks both eras and probes for the newer one. Usage: ts_v2.mjs URL
import { era, exercise, load, requestInit, url, versionOf } from './common.mjs';

const PACKAGE = '@modelcontextprotocol/client';
const { Client, StreamableHTTPClientTransport } = load(PACKAGE);

await exercise('typescript-v2', versionOf(PACKAGE), async () => {
  const client = new Client({ name: 'stand-ts-v2', version: '1' }, { versionNegotiation: { mode: era } });
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return {
    negotiated: () => client.getNegotiatedProtocolVersion(),
    listTools: () => client.listTools(),
    call: (tool, onprogress) => client.callTool(tool, { timeout: 30_000, onprogress }),
    close: () => client.close(),
  };
});
