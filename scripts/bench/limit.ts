/** The pipeline beside what the cores allow, and what a frame costs beyond its inference. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { BUILTIN_MODEL, type LoadedModel } from '../../src/model/load-model.ts';
import { Bare } from './bare-sessions.ts';
import { WarmDaemon } from './daemon.ts';
import { Pixels } from './pixels.ts';
import { replayCamera, type Settings, writeConfig } from './settings.ts';
import type { Row } from './table.ts';

/** Rates of a house: so many cameras, so many frames a second each. */
const CAMERAS = 4;
const FPS = 5;
/** Of each round, in slices that take turns. */
const SLICES = 2;
/** Long enough to measure the processor time, which counts in hundredths of a second. */
const PACED_SECONDS = { quick: 6, full: 16 };

type Model = Pick<LoadedModel, 'file' | 'description'>;

/** What was measured in one round, each alone. */
interface Round {
  /** Frames per second of the pipeline and its processor time for a frame. */
  fps: number;
  cpuMs: number;
  /** Frames per second of the bare sessions together, and the processor time of an inference. */
  bareFps: number;
  bareMs: number;
  /** Motion and resize of a frame. */
  pixelsMs: number;
}

/**
 * With one session, two, and four where there are as many cores: the pipeline beside N ÷ (one inference with N at once
 * + motion + resize), the most that N cores can do if nothing else costs anything.
 */
export async function limitRows(settings: Settings, models: readonly Model[]): Promise<Row[]> {
  const cores = availableParallelism();
  const rows: Row[] = [];
  for (const model of models) {
    const builtIn = model.file === BUILTIN_MODEL;
    for (const sessions of [1, 2, 4].filter((count) => count <= cores)) {
      const rounds = await measure(settings, model, sessions);
      const all = sessions === cores;
      const name = `${model.description.name}, N = ${sessions}`;
      rows.push({
        what: `pipeline ÷ limit, ${name}`,
        measured: rounds.map((round) => round.fps / limitOf(sessions, round)),
        digits: 3,
        ...(all && { limit: { atLeast: builtIn ? 0.85 : 0.92 } }),
      });
      if (!all) continue;
      rows.push({
        what: `processor time of a frame beyond inference, ${name}`,
        measured: rounds.map(({ cpuMs, bareMs }) => cpuMs - bareMs),
        digits: 3,
        unit: 'ms',
        ...(builtIn && { limit: { atMost: 0.45 } }),
      });
    }
  }
  return rows;
}

/** Frames per second that N cores can do at most. */
function limitOf(sessions: number, { bareFps, pixelsMs }: Round): number {
  return (1000 * sessions) / ((1000 * sessions) / bareFps + pixelsMs);
}

async function measure(settings: Settings, model: Model, sessions: number): Promise<Round[]> {
  const { folder, broker, rounds, seconds, say } = settings;
  const video = join(folder, 'frames.y4m');
  const cameras = { bench: replayCamera(video) };
  const config = writeConfig(
    { ...settings, model: model.file },
    `limit-${model.description.name}-${sessions}`,
    { sessions, cameras },
  );
  const bare = await Bare.several(model.file, sessions);
  const pixels = new Pixels(video, model.description);
  pixels.run(1);
  const daemon = await WarmDaemon.start(broker, config);
  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round++) {
    const sum: Round = { fps: 0, cpuMs: 0, bareFps: 0, bareMs: 0, pixelsMs: 0 };
    for (let slice = 0; slice < SLICES; slice++) {
      const alone = await bare.run(seconds / SLICES);
      const whole = await daemon.measure(seconds / SLICES);
      sum.fps += whole.fps / SLICES;
      sum.cpuMs += whole.cpuMs / SLICES;
      sum.bareFps += alone.fps / SLICES;
      sum.bareMs += alone.cpuMs / SLICES;
      sum.pixelsMs += pixels.run(seconds / SLICES / 4) / SLICES;
    }
    measured.push(sum);
    const { fps, cpuMs, bareFps, bareMs, pixelsMs } = sum;
    say(
      `${sessions} sessions, ${round}/${rounds}: pipeline ${fps.toFixed(1)} fps with ${cpuMs.toFixed(2)} ms of processor ` +
        `time, bare ${bareFps.toFixed(1)} fps with ${bareMs.toFixed(2)} ms, motion and resize ${pixelsMs.toFixed(2)} ms`,
    );
  }
  await daemon.stop();
  await bare.stop();
  return measured;
}

/** Processor time of four cameras at a house beside that of the bare inferences at the same pace. */
export async function houseRow(settings: Settings, model: Model): Promise<Row> {
  const { folder, broker, rounds, say, quick } = settings;
  const camera = replayCamera(join(folder, 'frames.y4m'), FPS);
  const cameras = Object.fromEntries(
    Array.from({ length: CAMERAS }, (_, index) => [`camera${index}`, camera]),
  );
  const bare = await Bare.several(model.file, 1);
  const config = writeConfig({ ...settings, model: model.file }, 'house', { cameras });
  const daemon = await WarmDaemon.start(broker, config);
  const seconds = quick ? PACED_SECONDS.quick : PACED_SECONDS.full;
  const measured: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const alone = await bare.run(seconds, 1000 / (CAMERAS * FPS));
    const whole = await daemon.measure(seconds);
    measured.push(whole.cpuMs / alone.cpuMs);
    say(
      `${CAMERAS} cameras, ${round}/${rounds}: ${whole.fps.toFixed(1)} fps with ${whole.cpuMs.toFixed(2)} ms of processor ` +
        `time each, bare ${alone.fps.toFixed(1)} fps with ${alone.cpuMs.toFixed(2)} ms`,
    );
  }
  await daemon.stop();
  await bare.stop();
  return {
    what: `${CAMERAS} cameras at ${FPS} fps: processor time ÷ bare inferences, ${model.description.name}`,
    measured,
    ...(model.file === BUILTIN_MODEL && { limit: { atMost: 1.4 } }),
  };
}
