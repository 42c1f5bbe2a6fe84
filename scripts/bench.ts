/**
 * `npm run bench`: the whole pipeline (raw 640×480 frames as fast as consumed, SQLite and MQTT on) beside bare
 * `session.run()` of the same model in the same process; then the memory of a daemon of its own.
 * Exits with 1 where a figure falls short. `-- --model FILE` measures another model than the built-in one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { Scene } from '../src/capture/demo/scene.ts';
import { loadConfig } from '../src/config/load.ts';
import { DEFAULT_MODEL } from '../src/config/names.ts';
import { Daemon } from '../src/daemon.ts';
import { prepare } from '../src/prepare.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'builtin' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1' },
  },
});
const rounds = Number(values.rounds);
const milliseconds = 1000 * Number(values.seconds);
const threads = Number(values.threads);

const [WIDTH, HEIGHT, FRAMES] = [640, 480, 50];
const folder = mkdtempSync(join(tmpdir(), 'lookout-bench-'));

interface Row {
  what: string;
  measured: string;
  wanted: string;
  ok: boolean;
}

try {
  const config = writeConfig();
  const loaded = loadConfig({ file: config });
  const model = (await prepare(loaded)).models.get(DEFAULT_MODEL)!;
  process.stderr.write(`model ${model.description.name}, ${threads} inference thread(s), ${rounds} rounds\n`);

  const bare = new Worker(new URL('./bench/bare.ts', import.meta.url), {
    workerData: { file: model.file, threads },
  });
  await once(bare, 'message');
  const ratios: number[] = [];
  const pipelines: number[] = [];
  const bares: number[] = [];
  const delays: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    bare.postMessage(milliseconds);
    const [bareFps] = (await once(bare, 'message')) as [number];
    const { fps, loopDelay } = await pipeline(config);
    ratios.push(fps / bareFps);
    pipelines.push(fps);
    bares.push(bareFps);
    delays.push(loopDelay);
    process.stderr.write(
      `round ${round}/${rounds}: pipeline ${fps.toFixed(1)} fps, bare ${bareFps.toFixed(1)} fps, ratio ${(fps / bareFps).toFixed(3)}\n`,
    );
  }
  bare.postMessage(0);
  await once(bare, 'exit');
  const { rssMb, stopMs, code } = await separateDaemon(config);

  const rows: Row[] = [
    {
      what: 'bare session.run(), frames per second',
      measured: median(bares).toFixed(1),
      wanted: '',
      ok: true,
    },
    {
      what: 'whole pipeline, frames per second',
      measured: median(pipelines).toFixed(1),
      wanted: '',
      ok: true,
    },
    atLeast('whole pipeline ÷ bare session.run()', median(ratios), 0.9),
    atMost('event loop of main blocked, p99, ms', median(delays), 20),
    atMost('memory of the daemon with one camera, MB', rssMb, 220),
    atMost('SIGTERM to exit, ms', stopMs, 2000),
    atMost('exit code', code, 0),
  ];
  for (const { what, measured, wanted, ok } of rows) {
    process.stdout.write(
      `${what.padEnd(44)} ${measured.padStart(9)}  ${wanted.padEnd(9)} ${ok ? '' : 'FALLS SHORT'}\n`,
    );
  }
  process.exitCode = rows.every(({ ok }) => ok) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** An uncompressed video of the demo scene, and a configuration that replays it. */
function writeConfig(): string {
  const scene = new Scene(WIDTH, HEIGHT, 1);
  const picture = new Uint8Array(scene.bytes);
  const video: Uint8Array[] = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F25:1 C420jpeg\n`)];
  for (let i = 0; i < FRAMES; i++) {
    scene.render(i * 200, picture);
    video.push(Buffer.from('FRAME\n'), picture.slice());
  }
  writeFileSync(join(folder, 'frames.y4m'), Buffer.concat(video));
  const config = join(folder, 'lookout.yaml');
  writeFileSync(
    config,
    stringify({
      data_dir: join(folder, 'data'),
      cameras: {
        bench: {
          source: {
            kind: 'replay',
            path: join(folder, 'frames.y4m'),
            width: WIDTH,
            height: HEIGHT,
            pace: 'consumed',
          },
          classify: 'frame',
          gate: 'always',
        },
      },
      model: { file: values.model === 'builtin' ? 'builtin' : resolve(values.model), threads },
      mqtt: { embedded_port: 0 },
      health_interval: 1,
    }),
  );
  return config;
}

/** Runs the daemon in this process and counts what it analyses. */
async function pipeline(config: string): Promise<{ fps: number; loopDelay: number }> {
  const daemon = new Daemon(loadConfig({ file: config }), { log: pino({ level: 'silent' }) });
  await daemon.start();
  await delay(500);
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  const [from, start] = [daemon.finished, performance.now()];
  await delay(milliseconds);
  const fps = (1000 * (daemon.finished - from)) / (performance.now() - start);
  histogram.disable();
  await daemon.stop();
  return { fps, loopDelay: histogram.percentile(99) / 1e6 };
}

/** Runs the daemon by itself, as a user does, and looks at its memory from outside. */
async function separateDaemon(config: string): Promise<{ rssMb: number; stopMs: number; code: number }> {
  const launcher = new URL('daemon', import.meta.url).pathname;
  const child = spawn(launcher, ['run', '--config', config], { stdio: 'ignore' });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  await delay(1000 + milliseconds * 2);
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const rssMb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  const start = performance.now();
  child.kill('SIGTERM');
  const [code] = await exited;
  return { rssMb, stopMs: performance.now() - start, code: code ?? -1 };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function atLeast(what: string, value: number, limit: number): Row {
  return { what, measured: value.toFixed(3), wanted: `≥ ${limit}`, ok: value >= limit };
}

function atMost(what: string, value: number, limit: number): Row {
  return { what, measured: value.toFixed(1), wanted: `≤ ${limit}`, ok: value <= limit };
}
