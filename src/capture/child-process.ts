/**
 * Runs a camera program as a child process: no shell, its own process group. Nothing of it is left when `runChild`
 * settles, or when the daemon dies for any reason.
 */
import { type ChildProcess, execFile, type StdioOptions, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { promisify, stripVTControlCharacters } from 'node:util';
import type { Logger } from 'pino';
import { LookoutError, messageOf } from '../errors.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { Limiter } from '../runtime/limiter.ts';
import { orAborted } from './abortable.ts';
import { openOutput } from './program-output.ts';
import { findProgram } from './programs.ts';

/** Time from SIGTERM to SIGKILL, and from the end of the output to SIGTERM. */
const GRACE_MS = 1200;
/** ffmpeg leaves a read that receives nothing only at the second SIGTERM. */
const SECOND_TERM_MS = 500;
/**
 * Time from SIGKILL to the exit. A program that takes longer hangs in the kernel, on a device that does not answer
 * (state D of ps(1)), and no signal reaches it.
 */
const UNKILLABLE_MS = 400;
/** With this many hanging programs, no other program is started. */
const MOST_HANGING = 3;
/** How long to wait for the last stderr lines of an ended program. */
const LAST_LINES_MS = 500;
const KEPT_LINES = 20;
const LONGEST_LINE = 500;
/** An unfinished line is kept up to this length: a URL can only be removed from it when it is complete. */
const LONGEST_PART = 16_384;

export interface ChildOptions {
  /** Path of the program. */
  file: string;
  args: readonly string[];
  /** What the program reads from its standard input; undefined: standard input is closed. */
  input?: string | AsyncIterable<Buffer>;
  /** The file descriptor to which it writes its frames. */
  output?: 1 | 3;
  env: NodeJS.ProcessEnv;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** Harmless lines of stderr, logged at level `trace` only. */
  harmless?: RegExp;
  /** Removes secrets from a line of stderr. */
  redact?: (line: string) => string;
  /** Receives each line of stderr. If it returns an error, the program is ended and `runChild` throws that error. */
  onLine?: (line: string) => LookoutError | undefined;
}

export interface ChildEnd {
  program: string;
  /** Exit status; null when a signal ended the program. */
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Its last lines on stderr. */
  lines: readonly string[];
}

/**
 * Starts a program and passes its output to `read`; each piece is valid until the next. When `read` settles or the
 * signal aborts, the program is ended: SIGTERM, SIGTERM again after half a second, SIGKILL after 1.2 s, because the
 * daemon must stop within 2 s.
 * @throws any error of `read`; LookoutError CAPTURE_PROGRAM_FAILED when the program cannot be started,
 * CAPTURE_HANGING when it cannot be killed and is left behind
 */
export async function runChild(
  options: ChildOptions,
  read: (output: AsyncIterable<Buffer>) => Promise<void>,
): Promise<ChildEnd> {
  const { signal } = options;
  const program = basename(options.file);
  if (hanging.size >= MOST_HANGING) {
    throw new LookoutError(
      'CAPTURE_HANGING',
      `${program} was not started: ${hanging.size} programs hang in the kernel, on a device that does not answer`,
      HANGING_HINT,
    );
  }
  const { child, output } = await start(options);
  const group = new ProcessGroup(child, options.clock);
  const failure = new AbortController();
  const ended = AbortSignal.any([signal, failure.signal]);
  const stderr = new Stderr(program, options, (error) => failure.abort(error));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const stderrClosed = new Promise<void>((resolve) => child.stderr?.once('close', () => resolve()));

  const destroy = () => output.destroy();
  ended.addEventListener('abort', destroy);
  if (ended.aborted) output.destroy();
  try {
    await read(output);
    await orAborted(group.exitWithin(GRACE_MS), ended);
  } catch (error) {
    if (!ended.aborted) throw error;
  } finally {
    // Node.js never frees a signal of AbortSignal.any() that has a listener and never aborts, nor the output with it.
    ended.removeEventListener('abort', destroy);
    if (await group.end()) await Promise.race([stderrClosed, sleep(options.clock, LAST_LINES_MS)]);
    output.destroy();
    for (const stream of child.stdio) stream?.destroy();
    stderr.close();
  }
  if (group.hangs) {
    throw new LookoutError(
      'CAPTURE_HANGING',
      `${program}: process ${child.pid} hangs in the kernel and cannot be killed; leaving it behind`,
      HANGING_HINT,
    );
  }
  if (failure.signal.aborted) throw failure.signal.reason;
  return { program, code: child.exitCode, signal: child.signalCode, lines: stderr.lines };
}

/** The error for an unexpected exit: CAPTURE_DEVICE if the last lines name a device fault, else CAPTURE_ENDED. */
export function endError(
  { program, code, signal, lines }: ChildEnd,
  device?: { faults: RegExp; hint: string },
): LookoutError {
  const how = signal === null ? `exit code ${code}` : signal;
  const fault = device && lines.findLast((line) => device.faults.test(line));
  if (device && fault)
    return new LookoutError('CAPTURE_DEVICE', `${program}: ${fault}`, { hint: device.hint });
  const last = lines.at(-1);
  return new LookoutError('CAPTURE_ENDED', `${program} ended (${how})${last ? `: ${last}` : ''}`);
}

async function start({ file, args, input, output = 1, env }: ChildOptions) {
  const command = [...(await parentDeathGuard()), file, ...args];
  const { reader, writer } = await openOutput();
  const stdin = input === undefined ? 'ignore' : 'pipe';
  const stdio: StdioOptions = output === 1 ? [stdin, writer, 'pipe'] : [stdin, 'ignore', 'pipe', writer];
  try {
    const child = spawn(command[0]!, command.slice(1), { env, detached: true, stdio });
    await spawned(child, file);
    // EPIPE of a program that exits before it has read its input must not end the daemon.
    child.stdin?.on('error', () => {});
    if (typeof input === 'string') child.stdin?.end(input);
    else if (input && child.stdin) pipeline(input, child.stdin).catch(() => {});
    return { child, output: reader };
  } catch (error) {
    reader.destroy();
    throw error;
  } finally {
    writer.destroy();
  }
}

function spawned(child: ChildProcess, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      const message = `cannot start ${file}: ${messageOf(cause)}`;
      reject(new LookoutError('CAPTURE_PROGRAM_FAILED', message, { cause }));
    });
  });
}

/**
 * Command prefix (setpriv of util-linux) that makes the kernel kill the program when the daemon dies (PR_SET_PDEATHSIG
 * of prctl(2)). Empty where setpriv is missing; there, a program that writes still ends with EPIPE.
 */
function parentDeathGuard(): Promise<string[]> {
  guard ??= (async () => {
    const setpriv = await findProgram(['setpriv'], process.env);
    if (setpriv === null) return [];
    const words = [setpriv, '--pdeathsig', 'KILL'];
    try {
      await promisify(execFile)(setpriv, [...words.slice(1), 'true']);
      return words;
    } catch {
      return [];
    }
  })();
  return guard;
}
let guard: Promise<string[]> | null = null;

const HANGING_HINT = {
  hint: 'The device or its driver does not answer. Unplug the camera and plug it in again; if that does not help, restart the board.',
};

/** Ids of programs that were killed and have not exited. */
const hanging = new Set<number>();

/** Number of programs that hang in the kernel. */
export function hangingPrograms(): number {
  return hanging.size;
}

/** Process groups to kill when the daemon exits without stopping its cameras. */
const running = new Set<number>();
process.once('exit', () => {
  for (const pid of running) kill(pid, 'SIGKILL');
});

function kill(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {}
}

class ProcessGroup {
  readonly #pid: number;
  readonly #clock: Clock;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  constructor(child: ChildProcess, clock: Clock) {
    this.#child = child;
    this.#pid = child.pid!;
    this.#clock = clock;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    running.add(this.#pid);
  }

  exitWithin(ms: number): Promise<void> {
    return Promise.race([this.#exited, sleep(this.#clock, ms)]);
  }

  /** Whether the program was killed and has not exited. */
  get hangs(): boolean {
    return hanging.has(this.#pid);
  }

  /**
   * Ends the program if it still runs, and then all processes that it started.
   * @returns whether it has exited
   */
  async end(): Promise<boolean> {
    kill(this.#pid, 'SIGTERM');
    const cancelSecond = this.#clock.after(SECOND_TERM_MS, () => kill(this.#pid, 'SIGTERM'));
    const cancelKill = this.#clock.after(GRACE_MS, () => kill(this.#pid, 'SIGKILL'));
    const ended = await Promise.race([
      this.#exited.then(() => true),
      sleep(this.#clock, GRACE_MS + UNKILLABLE_MS).then(() => false),
    ]);
    cancelSecond();
    cancelKill();
    kill(this.#pid, 'SIGKILL');
    running.delete(this.#pid);
    if (!ended) {
      hanging.add(this.#pid);
      void this.#exited.then(() => hanging.delete(this.#pid));
      this.#child.unref();
    }
    return ended;
  }
}

/** Keeps the last lines of stderr and logs at most one a second. */
class Stderr {
  readonly lines: string[] = [];
  readonly #options: ChildOptions;
  readonly #fail: (error: LookoutError) => void;
  readonly #warnings: Limiter;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(program: string, options: ChildOptions, fail: (error: LookoutError) => void) {
    this.#options = options;
    this.#fail = fail;
    this.#warnings = new Limiter(options.clock, (line, count) => {
      options.log.warn(count > 1 ? { lines: count } : {}, `${program}: ${line}`);
    });
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split(/[\r\n]+/);
    this.#rest = (lines.pop() ?? '').slice(-LONGEST_PART);
    for (const line of lines) this.#add(line);
  }

  close(): void {
    this.#add(this.#rest);
    this.#rest = '';
    this.#warnings.close();
  }

  #add(raw: string): void {
    const { redact, harmless, onLine, log, signal } = this.#options;
    const plain = stripVTControlCharacters(raw).trim();
    if (plain === '') return;
    const line = (redact ? redact(plain) : plain).slice(0, LONGEST_LINE);
    if (signal.aborted || harmless?.test(line)) log.trace(line);
    else {
      this.lines.push(line);
      if (this.lines.length > KEPT_LINES) this.lines.shift();
      this.#warnings.add(line);
    }
    const error = onLine?.(line);
    if (error) this.#fail(error);
  }
}
