/** Measures how much the scores of the faster int8 kernel differ from the exact ones on this machine. */
import { Scene } from '../demo/scene.ts';
import { loadModel } from '../model/load-model.ts';
import { imagesInFolder } from '../modelkit/calibration.ts';
import type { FrameFormat } from '../types.ts';
import { Classifier } from '../vision/classifier.ts';
import type { Agreement, ModelRef } from './profile-types.ts';

/** Number of demo frames, scene time between two of them in ms, and maximum number of snapshots. */
const SCENES = 50;
const STEP_MS = 2000;
const SNAPSHOTS = 100;

interface Sample {
  format: FrameFormat;
  data: Uint8Array;
}

/**
 * Runs a model with the exact and with the saturating kernel on frames of the demo scene and on snapshots.
 * @param snapshots folder with JPEG files; may be missing
 */
export async function measureAgreement(model: ModelRef, snapshots: string): Promise<Agreement> {
  const { file, description } = await loadModel(model, '/');
  const { width, height } = description.input;
  // Several classes may have the same label.
  const labels = description.labels.map((_, index) => String(index));
  const settings = { providers: ['cpu' as const], threads: 1, spinning: false };
  const [exact, fast] = (['auto', 'never'] as const).map((choice) =>
    Classifier.open({ file, description: { ...description, labels } }, { ...settings, exact: choice }),
  ) as [Classifier, Classifier];
  const size = { width, height, channels: 3, order: 'rgb' } as const;
  const saved = await imagesInFolder(snapshots, size, SNAPSHOTS).catch(() => []);
  const found: Agreement = { frames: 0, same: 0, largest: 0 };
  for (const frame of samplesOf(saved, { width, height, pixels: 'rgb24', colour: 'jpeg' })) {
    const right = exact.classify(frame, labels.length);
    const scores = new Map(fast.classify(frame, labels.length).map(({ label, score }) => [label, score]));
    const [first] = scores.keys();
    found.frames++;
    if (right[0]!.label === first) found.same++;
    for (const { label, score } of right) {
      found.largest = Math.max(found.largest, Math.abs(score - scores.get(label)!));
    }
  }
  exact.close();
  fast.close();
  return found;
}

function* samplesOf(saved: readonly Uint8Array[], format: FrameFormat): Generator<Sample> {
  for (const data of saved) yield { format, data };
  const scene = new Scene(640, 480, 1);
  for (let index = 0; index < SCENES; index++) {
    const data = new Uint8Array(scene.bytes);
    scene.render(index * STEP_MS, data);
    yield { format: { width: 640, height: 480, pixels: 'i420', colour: 'bt601' }, data };
  }
}
