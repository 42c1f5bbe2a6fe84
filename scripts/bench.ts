/**
 * `npm run bench`: what the frame path costs, each figure the median of five rounds inside one run. Prints a table and
 * exits with 1 where a row falls short. docs/performance.md explains the rows.
 *
 *   --quick        three short rounds, and 20,000 frames instead of 200,000 for the memory
 *   --only A,B     some of: pipeline, limit, house, transformers, cameras, still, resize, boxes, memory, start, disk
 *   --model FILE   another model than MobileNetV2 1.0, 224×224, int8 with random weights; `builtin` for that
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { loadModel } from '../src/model/load-model.ts';
import { buildMember } from '../src/profile/family.ts';
import { EmbeddedBroker } from '../src/publish/embedded-broker.ts';
import { boxesRow } from './bench/boxes.ts';
import { houseRow, limitRows } from './bench/limit.ts';
import { resizeRow } from './bench/resize.ts';
import { diskRow, memoryRows, startRows, stillRows } from './bench/rest.ts';
import { type Settings, writeVideo } from './bench/settings.ts';
import { camerasRow, pipelineRows } from './bench/speed.ts';
import { formatRow, isMet, type Row } from './bench/table.ts';
import { transformersRow } from './bench/transformers.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    model: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
  },
});

const folder = mkdtempSync(join(tmpdir(), 'lookout-bench-'));
const broker = new EmbeddedBroker({ host: '127.0.0.1', port: 0, log: pino({ level: 'silent' }) });
try {
  await broker.start();
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const settings: Settings = {
    folder,
    model: await modelFile(),
    broker: `mqtt://127.0.0.1:${broker.port}`,
    rounds: Number(values.rounds ?? (values.quick ? 3 : 5)),
    seconds: Number(values.seconds ?? (values.quick ? 2 : 4)),
    quick: values.quick,
    say,
  };
  const model = await loadModel({ file: settings.model }, folder);
  const builtIn = await loadModel({ file: 'builtin' }, folder);
  say(`model ${model.description.name}, ${settings.rounds} rounds of ${settings.seconds} s`);
  writeVideo(folder);

  const parts: Record<string, () => Row | Row[] | Promise<Row | Row[]>> = {
    pipeline: () => pipelineRows(settings, model.file),
    limit: () => limitRows(settings, model.file === builtIn.file ? [builtIn] : [builtIn, model]),
    house: () => houseRow(settings, builtIn),
    transformers: () => transformersRow(settings, model),
    cameras: () => camerasRow(settings),
    still: () => stillRows(settings, model.file),
    resize: () => resizeRow(settings),
    boxes: () => boxesRow(settings),
    memory: () => memoryRows(settings),
    start: () => startRows(settings, model.file),
    disk: () => diskRow(settings, Object.keys(model.description.events)),
  };
  const wanted = values.only?.split(',') ?? Object.keys(parts);
  const rows: Row[] = [];
  for (const name of wanted) {
    const measure = parts[name];
    if (!measure) throw new Error(`--only: expected some of ${Object.keys(parts).join(', ')}, found ${name}`);
    for (const row of [await measure()].flat()) {
      process.stdout.write(`${formatRow(row)}\n`);
      rows.push(row);
    }
  }
  process.exitCode = rows.every(isMet) ? 0 : 1;
} finally {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function modelFile(): Promise<string> {
  if (values.model) return values.model === 'builtin' ? 'builtin' : resolve(values.model);
  process.stderr.write('building MobileNetV2 1.0, 224×224, int8\n');
  const file = join(folder, 'mobilenet_v2.onnx');
  await buildMember({ width: 1, resolution: 224, precision: 'int8' }, file);
  return file;
}
