import { makeRow } from '../../src/profile/profile-rows.ts';
import type {
  Measurement,
  Phase,
  Point,
  Provenance,
  Report,
  Stamp,
} from '../../src/profile/profile-types.ts';
import { summarise } from '../../src/profile/statistics.ts';

export const POINT: Point = {
  ...{ model: 'builtin', threads: 1, sessions: 1, provider: 'cpu', spinning: false, exact: 'auto' },
  ...{ width: 640, height: 480, source: 'raw' },
};

export function stamp(change: Partial<Stamp> = {}): Stamp {
  const calm = { temperature_c: 55, throttled: false, throttle_reasons: [], mhz: 1800 };
  return { at: 0, ...calm, limit_mhz: 1800, governor: 'ondemand', others_percent: 2, ...change };
}

function phase(fps: number, cpuPercent: number): Phase {
  const milliseconds = 1000 / fps;
  return {
    ...{ seconds: 2, frames: 2 * fps, fps: [fps, fps * 1.01, fps * 0.99], latencyP90: [milliseconds] },
    stages: { inference: summarise([milliseconds, milliseconds * 1.1])!, store: summarise([3])! },
    ...{ cpuPercent, childrenCpuPercent: 0, rssMb: 140 },
    energy: { source: 'INA VDD_IN', joules: 10 },
  };
}

/** One round in which the pipeline reaches `fps`. */
export function round(fps: number): Measurement {
  const asked = { samples: 1, latencies: Array.from({ length: 400 }, () => 900 / fps), tail: [900 / fps] };
  return {
    kernel: { name: 'standard', reason: 'exact here, because this processor is arm64' },
    ...{ provider: 'cpu', threads: 1, paced: phase(5, 12), pipeline: phase(fps, 99) },
    inference: {
      ...{ fps: [1.1 * fps, 1.11 * fps], cpuMs: 900 / fps },
      ...{ singleStream: asked, multiStream: { ...asked, samples: 8 } },
    },
    ...{ before: stamp(), after: stamp() },
  };
}

export const PROVENANCE: Provenance = {
  ...{ lookout: '0.1.0', node: '24.0.0', onnxruntime: '1.30.0', at: '2026-05-01T12:00:00.000Z', host: 'pi' },
  ...{
    board: 'Raspberry Pi 5 <Model B>',
    cpu: 'Cortex-A76',
    cores: 4,
    architecture: 'arm64',
    memory_mb: 8000,
  },
  ...{ kernel: '6.12', os: 'Debian, "trixie"', governor: 'ondemand', limit_mhz: 2400, power_mode: null },
  ...{ power_source: 'INA VDD_IN', load: 0.1 },
};

export function report(rounds: readonly number[], change: Partial<Report> = {}): Report {
  return {
    ...{ format: 'lookout-profile', version: 1, provenance: PROVENANCE, fps: 5, rounds: rounds.length },
    ...{ interrupted: false, leftOut: [], sustainFailure: null },
    models: [
      {
        ...{ name: 'builtin', file: '/m.onnx', sha256: 'ab'.repeat(32), bytes: 1e6, input: '96×96 uint8' },
        ...{ multiplyAdds: 50, accuracy: null },
        operators: [{ name: 'QLinearConv', provider: 'CPU', count: 53, microseconds: 863 }],
      },
    ],
    rows: [makeRow(POINT, 'ab'.repeat(32), rounds.map(round), [])],
    sustained: null,
    ...change,
  };
}
