/** One logger for the daemon: JSON lines for machines, one readable line each for people, never a secret. */
import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, type LevelWithSilent, type Logger, pino, stdSerializers } from 'pino';
import { LookoutError } from '../errors.ts';
import type { EventChange } from '../types.ts';
import { printable, printableLines } from './printable.ts';
import { HIDDEN, redact } from './secrets.ts';

export interface LoggerOptions {
  /** Minimum level of the lines; `info` by default. */
  level?: LevelWithSilent;
  /** `auto`, the default: readable lines on a terminal, else JSON. */
  format?: 'auto' | 'json' | 'pretty';
  /** File descriptor to write to; standard output by default. */
  fd?: number;
  /** Instead of `fd`: where finished lines go. */
  destination?: DestinationStream;
  /** What `format: auto` goes by; whether `fd` is a terminal by default. */
  terminal?: boolean;
  env?: NodeJS.ProcessEnv;
}

const SECRETS = ['password', 'passphrase', 'token', 'secret'];

/**
 * Creates the logger. Lines leave in order and without a worker thread: a slow reader of standard output does not
 * stall the frame path, and what is still waiting is written when the process exits.
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = 'info', format = 'auto', fd = 1, env = process.env } = options;
  const terminal = options.terminal ?? isatty(fd);
  const pretty = format === 'pretty' || (format === 'auto' && terminal);
  const out = options.destination ?? openDestination(fd);
  const render = pretty ? readable(terminal && !env.NO_COLOR) : journalPriority(fd, env);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
      redact: {
        paths: SECRETS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
        censor: HIDDEN,
      },
    },
    { write: (line: string) => out.write(render(withoutSecrets(line))) },
  );
}

/**
 * Where lines go. An output that takes none (a full disk, a terminal that was closed, a pipe that nobody reads) is no
 * reason to stop watching: up to `MAX_WAITING` wait and are tried again, and the end of the process does not wait for
 * them.
 */
function openDestination(fd: number): DestinationStream {
  // Node makes a pipe or socket behind it non-blocking: one that is full would hold up the process.
  if (fd === process.stdout.fd) process.stdout.on('error', () => {});
  const patience = new Patience();
  const out = pino.destination({
    ...{ dest: fd, sync: false, minLength: 0, maxLength: MAX_WAITING },
    retryEAGAIN: (_error: unknown, writing: number, rest: number) => patience.hasFor(writing + rest),
  });
  let failing = '';
  out.on('error', (error: NodeJS.ErrnoException) => {
    failing = error.code ?? 'unknown';
    setTimeout(() => out.write(''), RETRY_MS).unref();
  });
  out.on('write', () => {
    failing = '';
  });
  // By itself it would try for ever, in a loop that nothing interrupts.
  const flushSync = out.flushSync.bind(out);
  out.flushSync = () => {
    if (failing !== '' && failing !== 'EAGAIN') return;
    try {
      flushSync();
    } catch {
      // Nobody reads it.
    }
  };
  return out;
}

/** How long a full pipe may stand still before the process may end without it, in ms. */
const PATIENCE_MS = 1000;
const RETRY_MS = 1000;

/** Waits for a reader as long as that reads something now and then. */
class Patience {
  #left = 0;
  #since = Number.NEGATIVE_INFINITY;

  /** @param left characters that wait */
  hasFor(left: number): boolean {
    const now = performance.now();
    if (this.#left === 0 || left < this.#left) this.#since = now;
    this.#left = left;
    return now - this.#since < PATIENCE_MS;
  }
}

/** Characters that may wait for a slow reader before lines are dropped. */
const MAX_WAITING = 1 << 20;

/** Each text of the line by itself: an address ends where its text does, and quotes in a password are not escaped. */
function withoutSecrets(line: string): string {
  const clean = JSON.stringify(JSON.parse(line), (_key, value: unknown) =>
    typeof value === 'string' ? redact(value) : value,
  );
  return `${clean}\n`;
}

/** Logs one step of an event, to its camera's logger: start and end for everybody, updates for the curious. */
export function logEvent(log: Logger, { type, event }: EventChange): void {
  const where = event.zone === null ? '' : ` in ${event.zone}`;
  const text = {
    start: () => `${event.label} seen${where}, score ${event.score.toFixed(2)}`,
    update: () => `${event.label} still there${where}, score ${event.score.toFixed(2)}`,
    end: () => {
      const seconds = ((event.endedAt ?? event.startedAt) - event.startedAt) / 1000;
      return `${event.label} gone${where} after ${seconds.toFixed(1)} s, best score ${event.topScore.toFixed(2)}`;
    },
  }[type]();
  const fields = {
    event: {
      id: event.id,
      type,
      label: event.label,
      score: event.score,
      top_score: event.topScore,
      zone: event.zone,
      snapshot: event.snapshot,
      reason: event.reason,
    },
  };
  if (type === 'update') log.debug(fields, text);
  else log.info(fields, text);
}

/** A foreseen error is its code and message; only an unforeseen one needs its stack. */
function describeError(error: unknown): unknown {
  if (!(error instanceof LookoutError)) return error instanceof Error ? stdSerializers.err(error) : error;
  const { code, message, hint, cause } = error;
  return { code, message, hint, cause: cause instanceof Error ? cause.message : cause };
}

/** `20:15:03 INFO  driveway car seen, score 0.91`, further fields as `key=value`, remedies on lines of their own. */
function readable(colorize: boolean): (line: string) => string {
  // Only here: a service writes for machines and need not hold it in memory.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  const format = prettyFactory({
    colorize,
    customColors: 'message:reset',
    hideObject: true,
    ignore: 'time,level,type,stack',
    messageFormat: (line, _key, _label, { colors }) => {
      const { time, level, msg, camera, part, err, error, event, ...rest } = line;
      const name = String(level);
      const paint = { error: colors.red, fatal: colors.red, warn: colors.yellow, info: colors.green }[name];
      const head =
        event === undefined ? (paint ?? colors.dim)(name.toUpperCase().padEnd(5)) : colors.magenta('EVENT');
      const where = camera ?? part;
      const failure = describeFailure(err ?? error, String(msg ?? ''));
      // What the message already says is not said again.
      const fields = Object.entries(rest)
        .filter(([, value]) => typeof value !== 'string' || !failure.text.includes(value))
        .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
      const words = [
        colors.dim(new Date(String(time)).toTimeString().slice(0, 8)),
        head,
        where === undefined ? '' : colors.cyan(printable(String(where))),
        printableLines(failure.text),
        colors.dim(printable(fields.join(' '))),
      ];
      return [words.filter((word) => word !== '').join(' '), ...failure.details.map(printableLines)].join(
        '\n',
      );
    },
  });
  return (line) => format(line) ?? '';
}

interface Failure {
  code?: string;
  message?: string;
  hint?: string;
  cause?: unknown;
  stack?: string;
}

/** The message with what failed, and the lines that go below it. */
function describeFailure(value: unknown, said: string): { text: string; details: string[] } {
  if (typeof value !== 'object' || value === null) {
    return { text: value === undefined ? said : `${said}: ${String(value)}`, details: [] };
  }
  const { code, message = '', hint, cause, stack } = value as Failure;
  if (stack !== undefined) return { text: said, details: [`    ${stack.replaceAll('\n', '\n    ')}`] };
  const text = said === message ? said : `${said}: ${message}`;
  const details = [];
  if (typeof cause === 'string' && !message.includes(cause)) details.push(`      because ${cause}`);
  if (hint !== undefined) details.push(`      ${hint}`);
  return { text: code === undefined ? text : `${text} (${code})`, details };
}

const PRIORITY: Record<string, number> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

/**
 * In the journal, puts the priority in front of each line (sd-daemon(3)), so that `journalctl -p warning` works.
 * The journal is recognised by its device and inode, as systemd.exec(5) specifies.
 */
function journalPriority(fd: number, env: NodeJS.ProcessEnv): (line: string) => string {
  if (!isJournal(fd, env.JOURNAL_STREAM)) return (line) => line;
  return (line) => `<${PRIORITY[/^\{"level":"(\w+)"/.exec(line)?.[1] ?? ''] ?? 6}>${line}`;
}

function isJournal(fd: number, stream: string | undefined): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
