/** A long run at full load with a sample each second: does the board throttle, and which rate can it sustain? */
import { EnergyMeter, findPowerSource } from '../board/energy.ts';
import { onStage } from '../runtime/stage-times.ts';
import { settle, startDaemon, wait } from './measure.ts';
import type { SustainSample } from './profile-types.ts';
import { Stamper } from './stamp.ts';
import { summarise } from './statistics.ts';
import { isSettled } from './verdict.ts';

/** Runs until the temperature is stable, `seconds` are over, or `signal` aborts; reports a sample each second. */
export async function sustain(
  { config, seconds }: { config: string; seconds: number },
  signal: AbortSignal,
  report: (sample: SustainSample) => void,
): Promise<null> {
  const daemon = await startDaemon(config);
  const power = await findPowerSource();
  const meter = power && new EnergyMeter(power);
  const stamper = new Stamper();
  let latencies: number[] = [];
  const stopListening = onStage((stage, milliseconds) => {
    if (stage === 'whole') latencies.push(milliseconds);
  });
  try {
    await settle(daemon, signal);
    await meter?.start();
    latencies = [];
    const samples: SustainSample[] = [];
    const began = performance.now();
    let last = began;
    while (last - began < 1000 * seconds && !isSettled(samples)) {
      await wait(1000 - ((performance.now() - began) % 1000), signal).catch(() => {});
      if (signal.aborted) break;
      const now = performance.now();
      const summary = summarise(latencies);
      latencies = [];
      const elapsed = (now - last) / 1000;
      last = now;
      const joules = await meter?.lap();
      const { temperature_c, throttled, throttle_reasons, mhz } = await stamper.stamp();
      const sample: SustainSample = {
        t: (now - began) / 1000,
        fps: (summary?.count ?? 0) / elapsed,
        latencyP50: summary?.p50 ?? null,
        latencyP90: summary?.p90 ?? null,
        temperature_c,
        throttled,
        throttle_reasons,
        mhz,
        watts: joules === undefined ? null : joules / elapsed,
      };
      samples.push(sample);
      report(sample);
    }
  } finally {
    stopListening();
    await meter?.stop();
    await daemon.stop();
  }
  return null;
}
