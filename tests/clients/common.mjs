// What the TypeScript clients share: where their packages are, which tools to call, and the one line they print.
//
// Environment: CLIENT_PACKAGES names the folder that install.sh filled (SCRATCH/typescript); the rest as in common.py.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const SECONDS_MAX = 60;
const TEXT_MAX = 2000;
const DEFAULTS = {
  ALLOWED: 'test_simple_text',
  DENIED: 'test_error_handling',
  PROGRESS: 'test_tool_with_progress',
};

const folder = process.env.CLIENT_PACKAGES;
if (!folder || process.argv.length !== 3) {
  console.error(`usage: CLIENT_PACKAGES=SCRATCH/typescript ${process.argv[1]} URL`);
  process.exit(2);
}
export const url = new URL(process.argv[2]);
export const era = process.env.ERA ?? 'auto';
/** Loads a package of the scratch folder: the repository has none of its own. */
export const load = createRequire(`${folder}/`);

const token = process.env.COUNTERSIGN_TOKEN;
export const requestInit = { headers: token ? { Authorization: `Bearer ${token}` } : {} };

/** The installed version of a package. */
export function versionOf(name) {
  return JSON.parse(readFileSync(`${folder}/node_modules/${name}/package.json`, 'utf8')).version;
}

function tool(role) {
  const name = process.env[`${role}_TOOL`] ?? DEFAULTS[role];
  return { name, arguments: JSON.parse(process.env[`${role}_ARGS`] ?? '{}') };
}

function describe(error) {
  return `${error?.constructor?.name} code=${error?.code}: ${error?.message}`.slice(0, TEXT_MAX);
}

function textOf(result) {
  return (result.content ?? []).map((block) => block.text ?? '').join(' ').slice(0, TEXT_MAX);
}

/**
 * Connects, lists, calls the allowed, the denied and the streamed tool, then the allowed one again; prints the finding
 * and exits 0 only if the session survived. `connect()` returns {listTools, call(params, onprogress), negotiated}.
 */
export async function exercise(client, version, connect) {
  const finding = {
    client, version, negotiated: null, listed: null, allowed: null, denied: null, progress: null,
    progress_lead_ms: null, survived: false,
  };
  const finish = () => {
    console.log(JSON.stringify(finding));
    process.exit(finding.survived ? 0 : 1);
  };
  setTimeout(() => {
    finding.raised = `no end within ${SECONDS_MAX} s`;
    finding.survived = false;
    finish();
  }, SECONDS_MAX * 1000).unref();
  try {
    const session = await connect();
    finding.negotiated = session.negotiated();
    finding.listed = (await session.listTools()).tools.length;
    const first = await session.call(tool('ALLOWED'));
    finding.allowed = { ok: first.isError !== true, text: textOf(first) };
    try {
      const refused = await session.call(tool('DENIED'));
      finding.denied = { is_error: refused.isError === true, text: textOf(refused) };
    } catch (error) {
      finding.denied = { is_error: null, text: '', raised: describe(error) };
    }
    const arrivals = [];
    try {
      await session.call(tool('PROGRESS'), () => arrivals.push(performance.now()));
      // How long before the result the first report came: near zero means that someone buffered the stream.
      if (arrivals.length > 0) finding.progress_lead_ms = Math.round(performance.now() - arrivals[0]);
    } catch (error) {
      finding.progress_raised = describe(error);
    }
    finding.progress = arrivals.length;
    finding.survived = (await session.call(tool('ALLOWED'))).isError !== true;
    await session.close();
  } catch (error) {
    finding.raised = describe(error);
    finding.survived = false;
  }
  finish();
}
