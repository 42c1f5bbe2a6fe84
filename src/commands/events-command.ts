import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { printable } from '../runtime/printable.ts';
import { localTime, parseTime } from '../runtime/time-text.ts';
import type { EventFilter, Reader } from '../store/log-reader.ts';
import type { DetectionEvent } from '../types.ts';
import { integer, type LogOptions, openLog, withLog } from './options.ts';
import { writeText } from './text-output.ts';

interface Options extends LogOptions {
  since?: string;
  label?: string[];
  camera?: string[];
  limit?: number;
  json?: true;
  follow?: true;
}

const DEFAULT_LIMIT = 50;

/** Interval at which `--follow` polls the database. */
const FOLLOW_MS = 250;

/** `lookout events`: works whether the daemon is running or not. */
export function eventsCommand(program: Command): void {
  withLog(program.command('events').description('list events'))
    .option('--since <time>', 'only events since this date, or since a time ago: 30m, 2h, 7d')
    .option('--label <label>', 'only events of this label; repeatable', collect)
    .option('--camera <name>', 'only events of this camera; repeatable', collect)
    .option(
      '-n, --limit <count>',
      `number of newest events to print; by default ${DEFAULT_LIMIT}, with --since all`,
      integer(1),
    )
    .option('--json', 'print one JSON object per line')
    .option('-f, --follow', 'continue with new events until interrupted')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ lookout events --since 2h',
        '  $ lookout events --camera driveway --label car --limit 10',
        '  $ lookout events --follow --json | jq .label',
      ].join('\n'),
    )
    .action(async (options: Options) => {
      const now = Date.now();
      const filter: EventFilter = {
        since: options.since === undefined ? undefined : parseTime('--since', options.since, now),
        labels: options.label?.map((label) => label.normalize()) ?? [],
        cameras: options.camera ?? [],
      };
      const limit = options.limit ?? (options.since === undefined ? DEFAULT_LIMIT : undefined);
      const format = options.json ? jsonLine : readableLine;
      const out = process.stdout;
      const ended = new AbortController();
      out.once('error', () => ended.abort());

      const reader = await openLog(options);
      if (options.follow) {
        await follow({
          reader,
          reopen: () => openLog(options),
          filter,
          limit,
          format,
          out,
          signal: ended.signal,
        });
      } else {
        let found = 0;
        const lines = function* () {
          for (const event of reader.events(filter, { limit })) {
            found++;
            yield format(event);
          }
        };
        try {
          await writeText(lines(), out);
        } finally {
          reader.close();
        }
        if (found === 0 && !options.json) process.stderr.write('no events\n');
      }
    });
}

export interface FollowOptions {
  reader: Reader;
  /** Opens the database again after the daemon has replaced it. */
  reopen: () => Promise<Reader>;
  filter: EventFilter;
  limit: number | undefined;
  format: (event: DetectionEvent) => string;
  out: Writable;
  signal: AbortSignal;
}

/** Prints events, then each new one when it starts and again when it ends, until `signal` aborts. */
export async function follow({
  reader,
  reopen,
  filter,
  limit,
  format,
  out,
  signal,
}: FollowOptions): Promise<void> {
  const { setTimeout: wait } = await import('node:timers/promises');
  /** Events that were printed while open. */
  const open = new Set<string>();
  const print = (events: Iterable<DetectionEvent>) => writeText(lines(events), out);
  const lines = function* (events: Iterable<DetectionEvent>) {
    for (const event of events) {
      if (event.endedAt !== null) open.delete(event.id);
      else if (open.has(event.id)) continue;
      else open.add(event.id);
      yield format(event);
    }
  };
  try {
    let { mark } = reader;
    await print(reader.events(filter, { limit, upTo: mark }));
    while (!signal.aborted) {
      await wait(FOLLOW_MS, undefined, { signal }).catch(() => {});
      const changes = reader.changes(mark, filter);
      mark = changes.mark;
      await print(changes.events);
      if (reader.replaced && !signal.aborted) {
        // The file is missing for a moment while it is replaced; the next poll finds it.
        const fresh = await reopen().catch(() => null);
        if (!fresh) continue;
        reader.close();
        reader = fresh;
        mark = 0;
      }
    }
  } finally {
    reader.close();
  }
}

/** The same names and units as in the MQTT message. */
export function jsonLine(event: DetectionEvent): string {
  const { id, camera, zone, label, score, box, model, snapshot, reason } = event;
  return `${JSON.stringify({
    id,
    camera,
    zone,
    label,
    score,
    top_score: event.topScore,
    box: [box.x, box.y, box.w, box.h],
    started_at: new Date(event.startedAt).toISOString(),
    ended_at: event.endedAt === null ? null : new Date(event.endedAt).toISOString(),
    model,
    snapshot,
    reason,
    time_uncertain: event.timeUncertain ?? false,
  })}\n`;
}

/** `2026-01-31 18:05:09  driveway  car  0.91  12.3 s  gate  driveway/2026-01-31/….jpg` */
export function readableLine(event: DetectionEvent): string {
  const { camera, label, topScore, startedAt, endedAt, zone, snapshot } = event;
  const duration = endedAt === null ? 'open' : `${((endedAt - startedAt) / 1000).toFixed(1)} s`;
  const columns = [
    localTime(startedAt),
    camera.padEnd(12),
    printable(label).padEnd(12),
    topScore.toFixed(2),
    duration.padStart(8),
    (zone ?? '-').padEnd(8),
    snapshot ?? '-',
  ];
  return `${columns.join('  ')}\n`;
}

function collect(value: string, earlier: string[] = []): string[] {
  return [...earlier, value];
}
