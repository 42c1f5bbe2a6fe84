/** Asks the programs that set the clock from a time server whether they have. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** `waiting`: a program is there to set the clock and has not yet. `none`: nobody could be asked. */
export type TimeServers = 'agree' | 'waiting' | 'none';

export interface TimeQuestion {
  /** What the clock says, wall-clock milliseconds. */
  now: number;
  /** How far the time of the last word of a time server may be away from it, ms. */
  tolerance: number;
  /** Folder that stands for `/`. */
  root?: string;
  /** Where programs are looked for. */
  env?: NodeJS.ProcessEnv;
}

/** Where systemd-timesyncd lives, and what it touches each time it has set the clock (systemd-timesyncd(8)). */
const TIMESYNC = 'run/systemd/timesync';
const SYNCHRONIZED = join(TIMESYNC, 'synchronized');

const TIMEOUT_MS = 3000;
/** Calls of `ask` between two times that programs are asked, which costs a process each. */
const CALLS_PER_QUESTION = 30;
const SECONDS_1900_TO_1970 = 2_208_988_800;

/** What chronyd, ntpd and whoever else steers the kernel's clock are asked with, and what their answers mean. */
const PROGRAMS: readonly {
  command: string[];
  meaning: (answer: string, question: TimeQuestion) => TimeServers;
}[] = [
  {
    // Fields by commas: the fourth is the time of the last measurement, the last one the state of leap seconds.
    command: ['chronyc', '-c', 'tracking'],
    meaning: (answer, { now, tolerance }) => {
      const fields = answer.trim().split(',');
      if (fields.length < 14) return 'none';
      const isSet = fields.at(-1) !== 'Not synchronised';
      return isSet && Math.abs(now - 1000 * Number(fields[3])) <= tolerance ? 'agree' : 'waiting';
    },
  },
  {
    // `reftime` is when it last set the clock, in seconds since 1900, which start again from 0 in 2036.
    command: ['ntpq', '-c', 'rv'],
    meaning: (answer, { now, tolerance }) => {
      if (!/\bleap_\w+/.test(answer)) return 'none';
      const seconds = Number.parseInt(/\breftime=(?:0x)?([0-9a-f]{8})\./.exec(answer)?.[1] ?? '', 16);
      const away = (now / 1000 + SECONDS_1900_TO_1970 - seconds) % 2 ** 32;
      const isNear = Math.min(Math.abs(away), 2 ** 32 - Math.abs(away)) * 1000 <= tolerance;
      const isSet = !answer.includes('leap_alarm') && !answer.includes('sync_unspec');
      return isSet && isNear ? 'agree' : 'waiting';
    },
  },
  {
    // The kernel's own state, which setting the clock by hand takes away.
    command: ['timedatectl', 'show', '--property=NTP', '--property=NTPSynchronized'],
    meaning: (answer) => {
      if (/^NTPSynchronized=yes$/m.test(answer)) return 'agree';
      return /^NTP=yes$/m.test(answer) ? 'waiting' : 'none';
    },
  },
];

/** Whether a time server stands behind what the clock says. Never rejects. */
export async function askTimeServers(question: TimeQuestion): Promise<TimeServers> {
  const bySystemd = await lookForSystemd(question);
  if (bySystemd === 'agree') return bySystemd;
  let waiting = bySystemd === 'waiting';
  for (const { command, meaning } of PROGRAMS) {
    const answer = await run(command, question.env ?? process.env);
    const means = answer === null ? 'none' : meaning(answer, question);
    if (means === 'agree') return means;
    waiting ||= means === 'waiting';
  }
  return waiting ? 'waiting' : 'none';
}

/** Asks until they agree: then the time stays right until the clock jumps. */
export class TimeServerPoll {
  answer: TimeServers = 'none';
  readonly #question: () => TimeQuestion;
  #calls = 0;
  #asking = false;
  /** What was asked before a jump says nothing any more. */
  #jumps = 0;

  constructor(question: () => TimeQuestion) {
    this.#question = question;
  }

  /** The clock has jumped. */
  forget(): void {
    this.answer = 'none';
    this.#calls = 0;
    this.#jumps++;
  }

  /** Looks for a file, which costs nothing; asks programs now and then while there is doubt. Never rejects. */
  async ask(isKnown: boolean): Promise<void> {
    if (this.#asking || this.answer === 'agree') return;
    this.#asking = true;
    const jumps = this.#jumps;
    const all = this.#calls++ % CALLS_PER_QUESTION === 0 && !isKnown;
    const answer = await (all ? askTimeServers : lookForSystemd)(this.#question());
    this.#asking = false;
    if (jumps === this.#jumps && (all || answer === 'agree')) this.answer = answer;
  }
}

/** It sets the clock at least every 35 minutes: a file that was touched at quite another time is from before a jump. */
export async function lookForSystemd({ now, tolerance, root = '/' }: TimeQuestion): Promise<TimeServers> {
  const find = (path: string) => stat(join(root, path)).catch(() => null);
  if (!(await find(TIMESYNC))) return 'none';
  const synchronized = await find(SYNCHRONIZED);
  return synchronized && Math.abs(now - synchronized.mtimeMs) <= tolerance ? 'agree' : 'waiting';
}

async function run([program = '', ...args]: string[], env: NodeJS.ProcessEnv): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(program, args, {
      env: { ...env, LC_ALL: 'C' },
      timeout: TIMEOUT_MS,
    });
    return stdout;
  } catch {
    return null;
  }
}
