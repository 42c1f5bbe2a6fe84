/**
 * How long each stage of the frame path takes, told to whoever listens in this process. While nobody does, a stage
 * costs one comparison.
 */
import { channel } from 'node:diagnostics_channel';
import type { Analysis } from '../types.ts';

/**
 * In the order in which a frame meets them. `capture`: from the first byte of a picture to its last (or its rendering);
 * `decode`: a JPEG or PNG decoded in this process; `store`: one commit, from asking to answer; `publish`: one message of
 * the outbox, from sending to acknowledgement; `whole`: from the complete picture to the decision about it.
 */
export const STAGES = [
  'capture',
  'decode',
  'motion',
  'resize',
  'inference',
  'decide',
  'store',
  'publish',
  'whole',
] as const;
export type Stage = (typeof STAGES)[number];

interface Sample {
  stage: Stage;
  milliseconds: number;
}

const samples = channel('lookout.stage');

/** Says that a stage took this long. */
export function recordStage(stage: Stage, milliseconds: number): void {
  if (samples.hasSubscribers) samples.publish({ stage, milliseconds } satisfies Sample);
}

/** Says how long the vision threads took for a frame: the stages that it went through. */
export function recordAnalysis({ gate, scores, times }: Analysis): void {
  if (!samples.hasSubscribers || gate === 'off') return;
  recordStage('motion', times.motion);
  if (scores.length === 0) return;
  recordStage('resize', times.resize);
  recordStage('inference', times.inference);
}

/** Calls back for each recorded stage until the returned function is called. */
export function onStage(callback: (stage: Stage, milliseconds: number) => void): () => void {
  const listener = (message: unknown) => {
    const { stage, milliseconds } = message as Sample;
    callback(stage, milliseconds);
  };
  samples.subscribe(listener);
  return () => void samples.unsubscribe(listener);
}
