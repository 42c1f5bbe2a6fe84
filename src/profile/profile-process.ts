/** Runs jobs in child processes. */
import { fork } from 'node:child_process';
import { type ErrorCode, LookoutError } from '../errors.ts';
import type { JobKind, Jobs, SustainSample } from './profile-types.ts';

export type ToChild =
  | { [Kind in JobKind]: { type: 'job'; kind: Kind; ask: Jobs[Kind]['ask'] } }[JobKind]
  | { type: 'stop' };

export type FromChild =
  | { type: 'done'; answer: unknown }
  | { type: 'failed'; code: ErrorCode; message: string }
  | { type: 'sample'; sample: SustainSample };

export interface RunOptions {
  /** Asks the job to end. */
  signal: AbortSignal;
  /** Milliseconds after which the process counts as hung and is killed. */
  timeoutMs: number;
  onSample?: (sample: SustainSample) => void;
  /** The module to run; for tests. */
  module?: URL;
}

/** Milliseconds that an aborted job has to end. */
const GRACE_MS = 3000;

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const CHILD = new URL(`./profile-child${EXTENSION}`, import.meta.url);

/**
 * Runs a job in a child process; resolves when that process has ended.
 * @throws LookoutError with the cause of the failure, PROFILE_CRASHED if its process crashed, hung or was killed
 */
export async function runJob<Kind extends JobKind>(
  kind: Kind,
  ask: Jobs[Kind]['ask'],
  { signal, timeoutMs, onSample, module = CHILD }: RunOptions,
): Promise<Jobs[Kind]['answer']> {
  signal.throwIfAborted();
  const child = fork(module, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let stderr = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000);
  });
  let outcome: Extract<FromChild, { type: 'done' | 'failed' }> | null = null;
  child.on('message', (message: FromChild) => {
    if (message.type === 'sample') onSample?.(message.sample);
    else outcome = message;
  });
  const kill = () => child.kill('SIGKILL');
  let hung = false;
  const deadline = setTimeout(() => {
    hung = true;
    kill();
  }, timeoutMs);
  let grace: NodeJS.Timeout | undefined;
  const onAbort = () => {
    if (child.connected) child.send({ type: 'stop' } satisfies ToChild, () => {});
    grace = setTimeout(kill, GRACE_MS);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const ended = new Promise<{ code: number | null; cause: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, cause) => resolve({ code, cause }));
    child.once('error', () => resolve({ code: null, cause: null }));
  });
  child.send({ type: 'job', kind, ask } as ToChild, () => {});
  const { code, cause } = await ended;
  clearTimeout(deadline);
  clearTimeout(grace);
  signal.removeEventListener('abort', onAbort);
  return judge(
    outcome,
    hung ? `did not answer within ${timeoutMs / 1000} s` : describeExit(code, cause, stderr),
  ) as Jobs[Kind]['answer'];
}

function judge(outcome: Extract<FromChild, { type: 'done' | 'failed' }> | null, end: string): unknown {
  if (outcome?.type === 'done') return outcome.answer;
  if (outcome) throw new LookoutError(outcome.code, outcome.message);
  throw new LookoutError('PROFILE_CRASHED', `the measuring process ${end}`);
}

/** How a process ended that did not answer. */
function describeExit(code: number | null, signal: NodeJS.Signals | null, stderr: string): string {
  const how = signal ? `was killed by ${signal}` : `ended with exit code ${code}`;
  const last = stderr.trim().split('\n').at(-1);
  return last ? `${how}: ${last}` : how;
}
