/** The whole pipeline beside bare `session.run()`, and four cameras beside one. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Bare } from './bare-sessions.ts';
import { WarmDaemon } from './daemon.ts';
import { replayCamera, type Settings, writeConfig } from './settings.ts';
import type { Row } from './table.ts';

/** Each of a round's figures is the mean of so many slices, which take turns: a machine's speed drifts within seconds. */
const SLICES = 2;

/**
 * The pipeline with one inference thread beside one session with one thread; and the pipeline as it uses all cores,
 * with a session for each, beside one session whose threads have all cores, and beside as many sessions at once.
 * @param file the .onnx file of the model
 */
export async function pipelineRows(settings: Settings, file: string): Promise<Row[]> {
  const cores = availableParallelism();
  const name = `all ${cores} cores`;
  const one = await beside(settings, '1 inference thread', 1, () => Bare.start(file, 1));
  const rows = [
    speedRow('whole pipeline, 1 inference thread', one),
    ratioRow('whole pipeline ÷ bare session.run(), 1 inference thread', one, { atLeast: 0.97 }),
  ];
  if (cores === 1) return rows;
  const all = await beside(settings, name, cores, () => Bare.start(file, cores));
  const several = await beside(settings, `${name}, ${cores} bare sessions`, cores, () =>
    Bare.several(file, cores),
  );
  return [
    ...rows,
    speedRow(`whole pipeline, ${name}`, all),
    ratioRow(`whole pipeline ÷ bare session.run(), ${name}`, all, { atLeast: 0.88 }),
    ratioRow(`whole pipeline ÷ ${cores} bare sessions at once`, several),
  ];
}

/** The pipeline with so many sessions, and what it is held against, by turns. */
async function beside(
  settings: Settings,
  name: string,
  sessions: number,
  startBare: () => Promise<Bare>,
): Promise<[number, number][]> {
  const cameras = { bench: replayCamera(join(settings.folder, 'frames.y4m')) };
  const config = writeConfig(settings, `pipeline-${sessions}`, { sessions, cameras });
  const bare = await startBare();
  const pipeline = await WarmDaemon.start(settings.broker, config);
  const turns = await takeTurns(
    settings,
    `pipeline and bare, ${name}`,
    async (seconds) => (await pipeline.measure(seconds)).fps,
    async (seconds) => (await bare.run(seconds)).fps,
  );
  await pipeline.stop();
  await bare.stop();
  return turns;
}

function speedRow(what: string, turns: readonly [number, number][]): Row {
  return { what, measured: turns.map(([first]) => first), digits: 1, unit: 'fps' };
}

function ratioRow(what: string, turns: readonly [number, number][], limit?: Row['limit']): Row {
  const measured = turns.map(([first, second]) => first / second);
  return { what, measured, digits: 3, ...(limit && { limit }) };
}

/** Total frames per second of four cameras beside those of one, with all cores. */
export async function camerasRow(settings: Settings): Promise<Row> {
  const { folder, broker } = settings;
  const sessions = availableParallelism();
  const camera = replayCamera(join(folder, 'frames.y4m'));
  const [four, one] = [
    await WarmDaemon.start(
      broker,
      writeConfig(settings, 'four', { sessions, cameras: { a: camera, b: camera, c: camera, d: camera } }),
    ),
    await WarmDaemon.start(broker, writeConfig(settings, 'one', { sessions, cameras: { a: camera } })),
  ];
  const turns = await takeTurns(
    settings,
    'four cameras and one',
    async (seconds) => (await four.measure(seconds)).fps,
    async (seconds) => (await one.measure(seconds)).fps,
  );
  await four.stop();
  await one.stop();
  return ratioRow('four cameras ÷ one camera, total fps, all cores', turns, { atLeast: 0.95 });
}

/**
 * Measures two things by turns.
 * @returns what each gave in each round
 */
export async function takeTurns(
  { rounds, seconds, say }: Settings,
  what: string,
  first: (seconds: number) => Promise<number>,
  second: (seconds: number) => Promise<number>,
): Promise<[number, number][]> {
  const figures: [number, number][] = [];
  for (let round = 1; round <= rounds; round++) {
    let [a, b] = [0, 0];
    for (let slice = 0; slice < SLICES; slice++) {
      b += (await second(seconds / SLICES)) / SLICES;
      a += (await first(seconds / SLICES)) / SLICES;
    }
    figures.push([a, b]);
    say(`${what}, ${round}/${rounds}: ${a.toFixed(1)} and ${b.toFixed(1)} fps`);
  }
  return figures;
}
