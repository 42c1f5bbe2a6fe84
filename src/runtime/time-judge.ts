/**
 * Judges whether the clock can be believed. Boards have no battery for their clock: it starts in 1970, where it was last
 * shut down, or in a year that a flat battery made up, and jumps when it hears from a time server.
 *
 * The clock is believed while a time server agrees, while it is no further from the last run and the newest row than can
 * be explained (`tolerance`), and when the board has run for hours at that time (`settle`). Nothing is deleted for its
 * age while it is not: `now` says null then. This is the only place that decides so.
 *
 * What is recorded is stamped with the setting of the clock: from one jump to the next the time of day is as far ahead
 * of the time since the boot. So, when the right time is known, everything of the same boot can be corrected by the
 * difference between two settings (store/clocks.ts).
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Service, Stamp } from '../types.ts';
import type { Clock } from './clock.ts';
import { TimeServerPoll } from './time-servers.ts';

/** Wall-clock milliseconds before which the clock of a board cannot have been set. */
export const CLOCK_UNSET = Date.UTC(2026, 0, 1);
/** Later than this it is not believed without a time server: systemd allows the same 15 years from its making. */
const CLOCK_LATEST = Date.UTC(2041, 0, 1);

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

const LOOK_MS = 2000;
/** A difference of this many ms is a jump. A time server that corrects less does so without one. */
const JUMP_MS = 500;
/** Time between two readings of the two clocks, in ms, in which the scheduler may have made the difference. */
const READ_MS = 20;
/** Settings that are remembered; a clock that jumps more often is useless. */
const MOST_SETTINGS = 100;

/** A setting of the clock. */
export interface ClockSetting {
  id: number;
  /** Which boot of the machine. */
  boot: string;
  /** Time of day minus time since the boot, ms. */
  ahead: number;
  /** When it began, ms since the boot. */
  began: number;
}

/** What the database knows about the time before this run. */
export interface TimeHistory {
  /** A time that was believed, from late in the last run; else that of the newest row. Wall-clock milliseconds. */
  knownAt: number | null;
  /** The last setting of the clock. */
  last: ClockSetting | null;
}

/** The time as it is believed, and under which settings rows of this boot were recorded. */
export interface KnownTime {
  /** Wall-clock milliseconds. */
  now: number;
  /** Milliseconds since the boot. */
  uptime: number;
  /** The setting that is right. */
  setting: ClockSetting;
  tolerance: number;
}

export interface TimeJudgeOptions {
  clock: Clock;
  log: Logger;
  /** How far the clock may be from the last run, ms. */
  tolerance?: number;
  /** How long the board must have run at a time that nobody confirms, ms. */
  settle?: number;
  /** Folder that stands for `/`. */
  root?: string;
  env?: NodeJS.ProcessEnv;
}

/** A moment on both clocks: milliseconds since 1970, and since the boot. */
interface Moment {
  wall: number;
  uptime: number;
}

export class TimeJudge implements Service {
  /** Called when the clock comes to be believed. */
  onKnown: () => void = () => {};
  readonly #options: TimeJudgeOptions;
  readonly #tolerance: number;
  readonly #settle: number;
  /** Milliseconds from the boot to the zero of `clock.monotonic()`. */
  #zero: number;
  readonly #boot: string;
  /** Of this run; the last one is current. */
  readonly #settings: ClockSetting[] = [];
  /** Settings that were not believed. */
  readonly #doubted = new Set<number>();
  /** A time that was believed, on both clocks. */
  #line: Moment | null = null;
  readonly #servers: TimeServerPoll;
  #known = true;
  #cancel = () => {};

  constructor(options: TimeJudgeOptions) {
    this.#options = options;
    this.#tolerance = options.tolerance ?? DAY_MS;
    this.#settle = options.settle ?? 6 * HOUR_MS;
    this.#zero = zeroOf(options.clock);
    this.#boot = bootOf(options.root);
    const { clock, root, env } = options;
    this.#servers = new TimeServerPoll(() => ({
      ...{ now: clock.now(), tolerance: this.#tolerance },
      ...(root === undefined ? {} : { root }),
      ...(env === undefined ? {} : { env }),
    }));
  }

  /** Whether the clock is believed now. */
  get known(): boolean {
    this.#look();
    return this.#known;
  }

  /** Wall-clock milliseconds by which ages are judged; null while the clock is not believed. */
  now(): number | null {
    return this.known ? this.#options.clock.now() : null;
  }

  /** Settings of the clock in this run, which what is stamped refers to. */
  get settings(): readonly ClockSetting[] {
    return this.#settings;
  }

  /** The believed time with all that is needed to correct others; null while there is none. */
  time(): KnownTime | null {
    const now = this.now();
    if (now === null) return null;
    return { now, uptime: this.#uptime(), setting: { ...this.#current }, tolerance: this.#tolerance };
  }

  /** Why the clock is not believed. */
  get doubt(): string {
    const { clock } = this.#options;
    if (clock.now() < CLOCK_UNSET) return 'the clock is not set';
    const said = `the clock says ${new Date(clock.now()).toISOString()}`;
    if (clock.now() > CLOCK_LATEST)
      return `${said}: nothing is deleted for its age until a time server agrees`;
    if (this.#servers.answer === 'waiting') return `${said}, and no time server has confirmed it yet`;
    const far = this.#distance(this.#read());
    const what =
      far === null
        ? ''
        : `, ${describe(Math.abs(far))} ${far > 0 ? 'after' : 'before'} what the last run makes likely`;
    const until = `until a time server agrees or it has run for ${Math.round((this.#settle / HOUR_MS) * 10) / 10} h at that time`;
    return `${said}${what}: nothing is deleted for its age ${until}`;
  }

  async start(): Promise<void> {
    await this.#servers.ask(false);
    this.#cancel = this.#options.clock.every(LOOK_MS, () => void this.#ask());
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  /** Takes what is known of the time before this run. What was recorded before is not stamped. */
  begin({ knownAt, last }: TimeHistory): void {
    const { wall, uptime } = this.#read();
    const ahead = wall - uptime;
    const goesOn = last !== null && last.boot === this.#boot && Math.abs(last.ahead - ahead) <= JUMP_MS;
    const next = { id: (last?.id ?? 0) + 1, boot: this.#boot, ahead: Math.round(ahead), began: uptime };
    this.#settings.push(goesOn ? last : next);
    this.#line = knownAt === null ? null : { wall: knownAt, uptime };
    this.#known = this.#judge({ wall, uptime });
    if (this.#known) this.#line = { wall, uptime };
    else {
      this.#doubted.add(this.#current.id);
      this.#sayDoubt();
    }
  }

  #sayDoubt(): void {
    this.#options.log.warn({ code: 'TIME_UNKNOWN' }, `${this.doubt}; events are marked \`time_uncertain\``);
  }

  /** What is to be noted with a time that was read just now, or a little before. */
  stamp(wall: number): Stamp & { clock: number | null } {
    this.#look();
    const setting = this.#settingOf(wall);
    if (!setting) return { clock: null, timeUncertain: false };
    const isRight = this.#known && !this.#isWrong(setting);
    const isSure = setting === this.#current || !this.#doubted.has(setting.id);
    return { clock: setting.id, timeUncertain: !(isRight && isSure) };
  }

  /**
   * What must be added to times of a setting of this run to make them right, and their stamp then. A time that was
   * believed and differs by no more than can be explained stays unchanged.
   * @param clock its id
   */
  correction(clock: number | null): { shift: number; stamp: Stamp } {
    this.#look();
    const setting = this.#settings.find(({ id }) => id === clock);
    if (!setting) return { shift: 0, stamp: { clock, timeUncertain: !this.#known } };
    if (!this.#known) return { shift: 0, stamp: { clock, timeUncertain: true } };
    if (!this.#doubted.has(setting.id) && !this.#isWrong(setting)) {
      return { shift: 0, stamp: { clock, timeUncertain: false } };
    }
    const current = this.#current;
    return { shift: current.ahead - setting.ahead, stamp: { clock: current.id, timeUncertain: false } };
  }

  /**
   * A time that was read just now, as it would be read from a clock that is right as far as anybody knows: without a
   * believed time the last one goes on. For what must not sort above everything that follows.
   */
  likely(wall: number): number {
    this.#look();
    const setting = this.#settingOf(wall);
    if (!setting) return wall;
    const uptime = wall - setting.ahead;
    if (this.#known) return wall + this.correction(setting.id).shift;
    return this.#line ? this.#line.wall + uptime - this.#line.uptime : CLOCK_UNSET + uptime;
  }

  /**
   * When something was recorded, on the clock that never jumps.
   * @param wall what the clock said then, or what it was corrected to
   * @param clock the setting of that time
   * @returns milliseconds of `clock.monotonic()`, from before this run too; null if nobody knows
   */
  monotonic(wall: number, clock: number | null): number | null {
    const setting = this.#settings.find(({ id }) => id === clock);
    return setting ? wall - setting.ahead - this.#zero : null;
  }

  get #current(): ClockSetting {
    return this.#settings.at(-1)!;
  }

  #isWrong(setting: ClockSetting): boolean {
    return Math.abs(setting.ahead - this.#current.ahead) > this.#tolerance;
  }

  /** The setting from which a time of now or just before was read. */
  #settingOf(wall: number): ClockSetting | undefined {
    const uptime = this.#uptime();
    const distance = ({ ahead }: ClockSetting) => Math.abs(wall - (ahead + uptime));
    return this.#settings.slice(-3).sort((a, b) => distance(a) - distance(b))[0];
  }

  #uptime(): number {
    return this.#options.clock.monotonic() + this.#zero;
  }

  /** Both clocks at one moment. */
  #read(): Moment {
    for (let attempt = 0; ; attempt++) {
      const before = this.#uptime();
      const wall = this.#options.clock.now();
      if (this.#uptime() - before < READ_MS || attempt === 5) return { wall, uptime: before };
    }
  }

  /** Notices jumps, and judges again. */
  #look(): void {
    if (this.#settings.length === 0) return;
    let { wall, uptime } = this.#read();
    if (this.#isJump(wall - uptime)) {
      // While the board was suspended, only the clock that we go by stood still.
      this.#zero = zeroOf(this.#options.clock);
      ({ wall, uptime } = this.#read());
    }
    const ahead = wall - uptime;
    if (this.#isJump(ahead)) {
      const next = { id: this.#current.id + 1, boot: this.#boot, ahead: Math.round(ahead), began: uptime };
      this.#settings.push(next);
      if (this.#settings.length > MOST_SETTINGS) this.#settings.shift();
      this.#servers.forget();
    }
    const before = this.#known;
    this.#known = this.#judge({ wall, uptime });
    if (!this.#known) this.#doubted.add(this.#current.id);
    else if (this.#line === null || this.#isConfirmed(uptime)) this.#line = { wall, uptime };
    if (before && !this.#known) this.#sayDoubt();
    if (before || !this.#known) return;
    this.#options.log.info('the clock is believed: times are right from now on');
    queueMicrotask(() => this.onKnown());
  }

  #isJump(ahead: number): boolean {
    return Math.abs(ahead - this.#current.ahead) > JUMP_MS;
  }

  #isConfirmed(uptime: number): boolean {
    return this.#servers.answer === 'agree' || uptime - this.#current.began >= this.#settle;
  }

  #judge(moment: Moment): boolean {
    if (moment.wall < CLOCK_UNSET) return false;
    if (moment.wall > CLOCK_LATEST) return this.#servers.answer === 'agree';
    if (this.#isConfirmed(moment.uptime)) return true;
    if (this.#servers.answer === 'waiting') return false;
    const distance = this.#distance(moment);
    return distance === null || Math.abs(distance) <= this.#tolerance;
  }

  /** How far the clock is ahead of what the last believed time makes likely, ms; null without one. */
  #distance({ wall, uptime }: Moment): number | null {
    return this.#line && wall - (this.#line.wall + uptime - this.#line.uptime);
  }

  async #ask(): Promise<void> {
    this.#look();
    await this.#servers.ask(this.#known);
    this.#look();
  }
}

function zeroOf(clock: Clock): number {
  return clock.sinceBoot() - clock.monotonic();
}

function bootOf(root = '/'): string {
  try {
    return readFileSync(join(root, 'proc/sys/kernel/random/boot_id'), 'utf8').trim();
  } catch {
    return randomUUID();
  }
}

function describe(ms: number): string {
  const days = ms / DAY_MS;
  return days < 2 ? `${Math.round(ms / HOUR_MS)} hours` : `${Math.round(days)} days`;
}
