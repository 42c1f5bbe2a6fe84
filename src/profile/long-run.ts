/** Runs a point until its temperature is stable, and evaluates the run. */
import { dirname } from 'node:path';
import { removeFolder } from '../runtime/own-files.ts';
import { keyOf } from './measurement-plan.ts';
import { runJob } from './profile-process.ts';
import { duration, ProgressBar, type Screen } from './profile-progress.ts';
import type { Failure, Sustained, SustainSample } from './profile-types.ts';
import { describe } from './profiled-models.ts';
import { failureOf } from './sweep.ts';
import { judge } from './verdict.ts';
import { type Work, writeConfig } from './workload.ts';

/** Seconds between progress lines if the output is not a terminal. */
const LINE_SECONDS = 60;

/**
 * @param seconds maximum duration
 * @returns the samples, and the failure if the run ended early; never rejects, so that the preceding sweep is not lost
 */
export async function longRun(
  work: Omit<Work, 'label'>,
  seconds: number,
  { signal, screen }: { signal: AbortSignal; screen: Screen },
): Promise<{ sustained: Sustained | null; failure: Failure | null }> {
  const { point, model } = work;
  const samples: SustainSample[] = [];
  const bar = new ProgressBar(screen, 1000);
  const onSample = (sample: SustainSample) => {
    samples.push(sample);
    const { t, fps, temperature_c, throttled } = sample;
    const temperature = temperature_c === null ? '' : `, ${temperature_c.toFixed(1)} °C`;
    const doing = `${fps.toFixed(1)} fps${temperature}${throttled ? ', throttled' : ''}`;
    if (screen.isTTY) bar.show(Math.round(t), Math.round(seconds), doing);
    else if (samples.length % LINE_SECONDS === 0) screen.write(`${duration(1000 * t)}  ${doing}\n`);
  };
  let failure: Failure | null = null;
  let file: string | undefined;
  try {
    screen.write(
      `long run of ${keyOf(point)} until the temperature is stable, at most ${duration(1000 * seconds)}\n`,
    );
    const { description } = await describe(model);
    file = await writeConfig({ ...work, label: description.labels[0]! }, null);
    const limits = { signal, timeoutMs: 1000 * seconds + 120_000 };
    await runJob('sustain', { config: file, seconds }, { ...limits, onSample });
  } catch (error) {
    if (!signal.aborted) failure = failureOf(error);
  } finally {
    bar.end();
    if (file !== undefined) await removeFolder(dirname(file));
  }
  const sustained = samples.length === 0 ? null : { point, samples, verdict: judge(samples) };
  return { sustained, failure };
}
