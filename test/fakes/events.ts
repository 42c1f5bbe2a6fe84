import type { DetectionEvent, EventChange } from '../../src/types.ts';

/** An event's step with every field filled in. */
export function eventChange(
  changes: Partial<DetectionEvent> = {},
  type: EventChange['type'] = 'start',
): EventChange {
  return {
    type,
    event: {
      id: '0192f7c4-9a1b-7c3e-8b52-4f6d2a9c1e07',
      camera: 'drive',
      zone: 'gate',
      label: 'vehicle',
      score: 0.81234567,
      topScore: 0.9,
      box: { x: 0.1, y: 0.2, w: 1 / 3, h: 0.4 },
      startedAt: Date.UTC(2026, 4, 1, 12, 0, 0, 250),
      endedAt: type === 'end' ? Date.UTC(2026, 4, 1, 12, 0, 5) : null,
      model: 'mobilenet_v2',
      snapshot: '2026-05-01/a.jpg',
      reason: { scores: [0.7, 0.81234567], threshold: 0.6, hits: 2, window: 5, gate: 'motion' },
      ...changes,
    },
  };
}
