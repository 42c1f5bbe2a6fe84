/** The support archive: what a supporter needs, without secrets. */
import { execFile } from 'node:child_process';
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { readBoard } from '../board/board.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { configSchema } from '../config/schema.ts';
import { messageOf, outputFailed } from '../errors.ts';
import { Reader } from '../store/log-reader.ts';
import { VERSION } from '../version.ts';
import { redactor } from './bundle-secrets.ts';
import { report } from './report.ts';
import type { DoctorReport } from './run-checks.ts';
import { type TextFile, tarGz } from './tar.ts';

const LOG_LINES = 5000;
const DAY_MS = 86_400_000;
/** Newest rows of each kind. */
const EVENTS = 200;

const CONTENT = `Lookout support archive. It contains no passwords, no parameters of URLs, no content of secret files and no values
of environment variables. It does contain the names of cameras, labels and hosts. Read it before you share it.

doctor.txt, doctor.json  what \`lookout doctor\` found
config.yaml              the settings in effect, including defaults
versions.json            versions, board, system
environment.txt          names of environment variables that concern Lookout
events.json              the last ${EVENTS} events
health.json              health samples of the last day
files.txt                files in the data folder
log.txt                  the last ${LOG_LINES} lines of the log of the service
`;

/**
 * Writes the archive; only its owner can read it.
 * @throws LookoutError OUTPUT_FAILED
 */
export async function writeBundle(
  path: string,
  result: DoctorReport,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const config = result.loaded?.config ?? configSchema.parse({});
  const redact = await redactor(config, env);
  const folder = `${basename(path).replace(/\.tar\.gz$|\.tgz$/, '') || 'lookout'}/`.replace(
    /[^\w.-]+(?!$)/g,
    '-',
  );
  const files = await collect(result, env);
  const redacted = files.map(({ name, text }) => ({ name: folder + name, text: redact(text) }));
  const archive = tarGz(redacted, Date.now() / 1000);
  try {
    const handle = await open(path, 'w', 0o600);
    try {
      await handle.writeFile(archive);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw outputFailed(`--bundle ${path}`, error);
  }
}

async function collect({ findings, loaded }: DoctorReport, env: NodeJS.ProcessEnv): Promise<TextFile[]> {
  const text = async (name: string, content: () => unknown): Promise<TextFile> => {
    try {
      const found = await content();
      return { name, text: typeof found === 'string' ? found : `${JSON.stringify(found, null, 2)}\n` };
    } catch (error) {
      return { name, text: `unavailable: ${messageOf(error)}\n` };
    }
  };
  const files = [
    text('README.txt', () => CONTENT),
    text('doctor.txt', () => report(findings)),
    text('doctor.json', () => findings),
    text('versions.json', async () => ({
      lookout: VERSION,
      node: process.version,
      board: await readBoard(),
    })),
    text('environment.txt', () => `${variables(env).join('\n')}\n`),
    text('log.txt', () => journal(env)),
  ];
  if (loaded) {
    const { config } = loaded;
    files.push(
      text('config.yaml', () => stringify(config)),
      text('events.json', () => withLog(loaded, (log) => [...log.events({}, { limit: EVENTS })])),
      text('health.json', () =>
        withLog(loaded, (log) => [...log.rows('samples', Date.now() - DAY_MS, Number.MAX_SAFE_INTEGER)]),
      ),
      text('files.txt', () => listing(config.data_dir)),
    );
  }
  return await Promise.all(files);
}

function withLog<T>({ config }: LoadedConfig, read: (log: Reader) => T): T {
  const log = new Reader(config.store.file);
  try {
    return read(log);
  } finally {
    log.close();
  }
}

/** Names only, because values can be secrets. */
function variables(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env)
    .filter((name) => /^(lookout_|ort_|node_|path$|lang$|tz$|.*_proxy$|credentials_directory$)/i.test(name))
    .sort();
}

async function journal(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await promisify(execFile)(
    'journalctl',
    ['--unit=lookout', `--lines=${LOG_LINES}`, '--output=short-iso', '--no-pager', '--quiet'],
    { env, timeout: 20_000, maxBuffer: 1 << 26 },
  );
  return stdout;
}

/** One line for each entry of the data folder: size and time of a file, number of entries of a folder. */
async function listing(folder: string): Promise<string> {
  const entries = await readdir(folder);
  const lines = await Promise.all(
    entries.sort().map(async (name) => {
      const path = join(folder, name);
      const { size, mtime, mode, uid } = await stat(path);
      const count = (await readdir(path, { recursive: true }).catch(() => null))?.length;
      const what = count === undefined ? `${size} bytes` : `${count} files and folders`;
      return `${(mode & 0o777).toString(8)} ${uid} ${mtime.toISOString()} ${name}: ${what}`;
    }),
  );
  return `${lines.join('\n')}\n`;
}
