import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { slope } from '../../src/profile/statistics.ts';
import { FlakyProxy } from '../fakes/flaky-proxy.ts';
import { busyCamera } from '../support/log.ts';
import { fakeEnv } from '../support/programs.ts';
import { Seeded } from '../support/random.ts';
import { until } from '../support/until.ts';
import { define } from './fault.ts';
import { DEVICE, inLab, type Lab, rssMb, TOPIC } from './lab.ts';

const SIZE = 64;
/** Pictures of the clip that is played again and again; during half of them something moves. */
const CLIP = 400;
/** Share of the frames after which memory must have settled. */
const WARM_UP = 0.2;
/** MB of memory per 100 000 frames. */
const STEEPEST = 1;
const LABELS = ['person', 'car', 'cat'];

/** What is measured now and then. */
interface Sample {
  frames: number;
  rss: number;
  fds: number;
  threads: number;
}

/** An uncompressed clip of a square that goes to and fro, and rests. */
function clip(): Buffer {
  const header = Buffer.from(`YUV4MPEG2 W${SIZE} H${SIZE} F25:1 Ip A1:1 C420\n`);
  const pictures = Array.from({ length: CLIP }, (_, n) => {
    const bytes = Buffer.alloc((SIZE * SIZE * 3) / 2, 128);
    const left = n < CLIP / 2 ? Math.round((SIZE - 24) * Math.abs(Math.sin(n / 15))) : 0;
    for (let row = 20; row < 44; row++) bytes.fill(230, row * SIZE + left, row * SIZE + left + 24);
    return Buffer.concat([Buffer.from('FRAME\n'), bytes]);
  });
  return Buffer.concat([header, ...pictures]);
}

function measure(lab: Lab): Sample {
  const pid = lab.daemon.child.pid!;
  const threads = /^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return {
    frames: lab.health()?.frames_captured ?? 0,
    rss: rssMb(pid),
    fds: readdirSync(`/proc/${pid}/fd`).length,
    threads: Number(threads),
  };
}

/** Breaks something, and mends it after a while. */
async function disturb(lab: Lab, proxy: FlakyProxy, random: Seeded): Promise<void> {
  const camera = join(lab.folder, 'camera');
  switch (random.int(0, 5)) {
    case 0:
      await proxy.set('refuse');
      await lab.broker.stop();
      await delay(random.int(500, 8000));
      await lab.broker.start();
      await until('the subscriber to be back', () => lab.recorder.connected);
      await proxy.set('forward');
      break;
    case 1:
      await proxy.set(random.pick(['hold', { bytesPerSecond: 20_000 }] as const));
      await delay(random.int(2000, 12_000));
      await proxy.set('forward');
      break;
    case 2:
      writeFileSync(
        camera,
        random.pick(['frames=30', 'stall=20', 'resize=10:192x128', 'garbage', 'flood', '']),
      );
      break;
    case 3: {
      const pids = readFileSync(join(lab.folder, 'pids'), 'utf8').trim().split('\n');
      try {
        process.kill(Number(pids.at(-1)), 'SIGKILL');
      } catch {}
      break;
    }
    case 4:
      lab.daemon.child.kill('SIGHUP');
      break;
    default:
      if (!lab.recorder.connected) return;
      await lab.recorder.publish(`${TOPIC}/second/enabled/set`, 'OFF');
      await delay(random.int(100, 1000));
      await lab.recorder.publish(`${TOPIC}/second/enabled/set`, 'ON');
  }
}

export const faults = [
  define({
    name: 'soak',
    promise:
      'after millions of frames with cameras and broker failing at random nothing is lost and nothing has grown',
    times: { full: 2_000_000, fast: 0 },
    inject: async (frames) => {
      let proxy!: FlakyProxy;
      const { camera, labels } = busyCamera(1, LABELS);
      const play = (path: string) => ({
        source: { kind: 'replay', path, loop: true, pace: 'consumed' },
        interval: 0,
      });
      const yard = { ...camera, source: { kind: 'libcamera', width: 128, height: 64, fps: 10 }, stall: 2 };
      const options = {
        settings: {
          device: DEVICE,
          cameras: { first: play('clip.y4m'), second: play('clip.y4m'), yard },
          labels,
          store: { commit_interval: 1 },
        },
        files: { camera: '', pids: '' },
        env: (folder: string) => {
          writeFileSync(join(folder, 'clip.y4m'), clip());
          return {
            ...fakeEnv(),
            FAKE_CAMERA_FILE: join(folder, 'camera'),
            FAKE_CAMERA_PIDS: join(folder, 'pids'),
          };
        },
        url: () => `mqtt://127.0.0.1:${proxy.port}`,
      };
      const work = async (lab: Lab) => {
        const random = new Seeded(99);
        const samples: Sample[] = [];
        let disturbances = 0;
        await lab.start();
        await lab.healthy('frames', ({ frames_captured }) => frames_captured > 1000);
        while ((samples.at(-1)?.frames ?? 0) < frames) {
          await disturb(lab, proxy, random);
          disturbances++;
          await delay(random.int(200, 3000));
          samples.push(measure(lab));
        }
        await proxy.set('forward');
        lab.observe();
        const since = lab.recorder.messages.length;
        await until('an empty outbox', () => (lab.health(since)?.outbox_depth ?? 999) < 40, 120_000);
        assert.equal((await lab.daemon.stop()).code, 0);

        const settled = samples.filter((sample) => sample.frames > frames * WARM_UP);
        const perFrame = slope(settled.map(({ frames, rss }) => [frames, rss]));
        const growth = perFrame * 100_000;
        const third = Math.floor(settled.length / 3);
        const most = (part: Sample[], of: 'fds' | 'threads') => Math.max(...part.map((sample) => sample[of]));
        const [early, late] = [settled.slice(0, third), settled.slice(-third)];
        const notes = [
          `${samples.at(-1)!.frames} frames`,
          `memory ${growth >= 0 ? '+' : ''}${growth.toFixed(2)} MB per 100,000 frames (${Math.round(late.at(-1)!.rss)} MB)`,
          `files ${most(early, 'fds')} → ${most(late, 'fds')}, threads ${most(early, 'threads')} → ${most(late, 'threads')}`,
        ];
        assert.ok(growth <= STEEPEST, notes.join('; '));
        assert.ok(most(late, 'fds') <= most(early, 'fds') + 4, notes.join('; '));
        assert.ok(most(late, 'threads') <= most(early, 'threads') + 1, notes.join('; '));
        const balances: Awaited<ReturnType<Lab['balance']>>[] = [];
        for (const name of ['first', 'second', 'yard']) balances.push(await lab.balance(name));
        const sum = (pick: (balance: (typeof balances)[number]) => number) =>
          balances.reduce((total, balance) => total + pick(balance), 0);
        notes.push(`${sum(({ events }) => events)} events`);
        return {
          injected: disturbances,
          lost: sum(({ lost }) => lost),
          duplicated: sum(({ duplicated }) => duplicated),
          recovery: [],
          notes: notes.join('; '),
        };
      };
      return inLab(options, work, async (broker) => {
        proxy = await FlakyProxy.start(broker.port);
      }).finally(() => proxy.stop());
    },
  }),
];
