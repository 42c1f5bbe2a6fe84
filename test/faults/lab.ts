/** A house to break things in: a broker, a subscriber that forgets nothing, and a real daemon. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Broker, type BrokerOptions, startBroker } from '../support/broker.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { busyCamera, type EventMessage, type EventRow, integrity, readEvents } from '../support/log.ts';
import { Recorder } from '../support/recorder.ts';
import { until } from '../support/until.ts';

export const DEVICE = 'dut';
export const TOPIC = `lookout/${DEVICE}`;

const preload = new URL('../fakes/time-machine.ts', import.meta.url).href;

/** Environment in which the wall clock is moved as the file `time` says. */
export const timeMachine = (folder: string): NodeJS.ProcessEnv => ({
  NODE_OPTIONS: `--import ${preload}`,
  TIME_MACHINE: join(folder, 'time'),
});

export interface LabOptions {
  /** Settings laid over those of one busy camera `door`. */
  settings?: object;
  broker?: BrokerOptions;
  /** Address that the daemon is given instead of the broker's. */
  url?: (broker: Broker) => string;
  /** Further settings of `mqtt`. */
  mqtt?: object;
  /** Name → content of files in the daemon's folder. */
  files?: Record<string, string>;
  /** Seconds that each event lasts. */
  seconds?: number;
  /** Environment of the daemon, which runs in `folder`. */
  env?: NodeJS.ProcessEnv | ((folder: string) => NodeJS.ProcessEnv);
}

/** What was seen in the log and by the subscriber. */
export interface Balance {
  lost: number;
  duplicated: number;
  events: number;
}

/** A line of health as it was published. */
export type Health = Record<string, unknown> & {
  problems: string[];
  uptime_s: number;
  fps: number;
  frames_captured: number;
  frames_analysed: number;
  frames_dropped: number;
  rss_mb: number;
  outbox_depth: number;
  outbox_dropped: number;
  cameras: Record<string, { captured: number; analysed: number; dropped: number; fps: number }>;
};

export class Lab {
  readonly folder = tempFolder();
  readonly broker: Broker;
  readonly recorder: Recorder;
  readonly settings: object;
  daemon!: DaemonProcess;
  readonly #env: NodeJS.ProcessEnv;
  /** Events that were seen in the database with an end, and those without one yet. */
  readonly #committed = new Map<string, EventRow>();
  readonly #opened = new Map<string, EventRow>();

  private constructor(broker: Broker, recorder: Recorder, options: LabOptions) {
    const { camera, labels } = busyCamera(options.seconds ?? 1, ['person', 'car', 'cat']);
    this.broker = broker;
    this.recorder = recorder;
    this.#env = typeof options.env === 'function' ? options.env(this.folder) : (options.env ?? {});
    for (const [name, content] of Object.entries(options.files ?? {})) {
      writeFileSync(join(this.folder, name), content);
    }
    this.settings = {
      device: DEVICE,
      cameras: { door: camera },
      labels,
      health_interval: 1,
      mqtt: {
        ...broker.mqtt,
        ...(options.url ? { url: options.url(broker) } : {}),
        keepalive: 5,
        ...options.mqtt,
      },
      ...options.settings,
    };
  }

  /**
   * Opens one; the daemon does not run yet.
   * @param prepare called when the broker runs
   */
  static async open(options: LabOptions = {}, prepare?: (broker: Broker) => Promise<void>): Promise<Lab> {
    const broker = await startBroker(options.broker);
    await prepare?.(broker);
    const users = options.broker?.users;
    const [username, password] = Object.entries(users ?? {})[0] ?? [];
    const login = username === undefined ? {} : { username, password: password! };
    return new Lab(broker, await Recorder.connect(broker.url, '#', login), options);
  }

  get database(): string {
    return join(this.folder, 'data', 'lookout.db');
  }

  /**
   * Starts the daemon.
   * @returns milliseconds until the first event was seen
   */
  async start(env: NodeJS.ProcessEnv = {}, settings = this.settings): Promise<number> {
    const began = performance.now();
    this.daemon = new DaemonProcess(settings, this.folder, { ...this.#env, ...env });
    await this.daemon.line(({ event, msg }) => event?.type === 'start' || msg.includes('camera is online'));
    return performance.now() - began;
  }

  /** Remembers what is committed now: none of it may ever be lost or altered. */
  observe(): void {
    if (!existsSync(this.database)) return;
    for (const row of readEvents(this.database)) {
      if (row.ended_at === null) this.#opened.set(row.id, row);
      else this.#committed.set(row.id, row);
    }
  }

  /** Messages of the events of a camera, in the order of their arrival. */
  told(camera = 'door'): EventMessage[] {
    return this.recorder.texts(`${TOPIC}/${camera}/event`).map((text) => JSON.parse(text) as EventMessage);
  }

  /** The latest health that was published after `since` messages. */
  health(since = 0): Health | undefined {
    const texts = this.recorder.messages
      .slice(since)
      .filter(({ topic }) => topic === `${TOPIC}/health`)
      .map(({ payload }) => payload.toString());
    return texts.length === 0 ? undefined : (JSON.parse(texts.at(-1)!) as Health);
  }

  /** Resolves with the first health to come, or already there since `since`, that the condition takes. */
  async healthy(what: string, condition: (health: Health) => boolean, timeoutMs = 30_000): Promise<Health> {
    let seen: Health | undefined;
    await until(
      `health to say ${what}`,
      () => {
        seen = this.health();
        return seen !== undefined && condition(seen);
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; it says ${JSON.stringify(seen)}`);
    });
    return seen!;
  }

  /**
   * Holds the log and what the subscriber got against what was committed, once everything is told: nothing lost or
   * altered, every event published from start to end, starts in the order of the log, ids unique, file intact.
   */
  async balance(camera = 'door'): Promise<Balance> {
    assert.equal(integrity(this.database), 'ok');
    const rows = readEvents(this.database).filter((row) => row.camera === camera);
    const byId = new Map(rows.map((row) => [row.id, row]));
    assert.equal(byId.size, rows.length, 'ids are unique');
    const ends = new Set(rows.filter(({ ended_at }) => ended_at !== null).map(({ id }) => id));
    await until('every event to be published', () => {
      const told = new Set(
        this.told(camera)
          .filter(({ type }) => type === 'end')
          .map(({ id }) => id),
      );
      return [...ends].every((id) => told.has(id));
    }).catch(() => {});

    let lost = 0;
    const lose = (what: string, ...rows: (EventRow | undefined)[]) => {
      lost++;
      process.stderr.write(`lost: ${what} ${rows.map((row) => JSON.stringify(row)).join(' → ')}\n`);
    };
    for (const [id, row] of this.#committed) {
      if (row.camera === camera && differs(row, byId.get(id))) lose('altered', row, byId.get(id));
    }
    for (const [id, row] of this.#opened) if (row.camera === camera && !byId.has(id)) lose('gone', row);
    const first = new Map<string, number>();
    let duplicated = 0;
    for (const [at, { id, type }] of this.told(camera).entries()) {
      if (type === 'update') continue;
      if (first.has(`${type} ${id}`)) duplicated++;
      else first.set(`${type} ${id}`, at);
    }
    for (const row of rows) {
      const start = first.get(`start ${row.id}`);
      const end = first.get(`end ${row.id}`);
      const untold = start === undefined || (row.ended_at !== null && (end === undefined || end < start));
      if (untold) lose(`not told (start ${start}, end ${end})`, row);
    }
    const starts = [...first].filter(([key]) => key.startsWith('start ')).sort((a, b) => a[1] - b[1]);
    const order = starts.map(([key]) => key.slice(6)).filter((id) => byId.has(id));
    assert.deepEqual(
      order,
      rows.map(({ id }) => id).filter((id) => first.has(`start ${id}`)),
      'in order',
    );
    return { lost, duplicated, events: rows.length };
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    if (this.daemon) {
      this.daemon.child.kill('SIGCONT');
      this.daemon.child.kill('SIGKILL');
      await this.daemon.exited;
    }
    await this.recorder.end();
    await this.broker.remove();
  }
}

/** What is in a row for good: where the picture is may be put right when it could not be written after all. */
function differs(before: EventRow, now: EventRow | undefined): boolean {
  const times = before.time_uncertain === 0;
  return facts(now, times) !== facts(before, times);
}

/** What must not change of an event. @param times whether its times were known */
function facts(row: EventRow | undefined, times: boolean): string | undefined {
  if (!row) return undefined;
  const { started_at, ended_at } = row;
  const lasted = ended_at === null ? null : ended_at - started_at;
  // What was recorded with a wrong clock is corrected later on.
  const when = times ? {} : { started_at: null, ended_at: null, lasted };
  return JSON.stringify({
    ...row,
    snapshot: null,
    changed: null,
    clock: null,
    time_uncertain: null,
    ...when,
  });
}

/** Runs a piece of work in a lab of its own. */
export async function inLab<T>(
  options: LabOptions,
  work: (lab: Lab) => Promise<T>,
  prepare?: (broker: Broker) => Promise<void>,
): Promise<T> {
  const lab = await Lab.open(options, prepare);
  try {
    return await work(lab);
  } finally {
    await lab.close();
  }
}

/** Resident memory of a process in MB. */
export function rssMb(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes ?? 0) / 1024;
}
