import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configSchema } from '../../../src/config/schema.ts';
import type { Box, Region } from '../../../src/types.ts';
import { Gatekeeper, type Motion, type Verdict } from '../../../src/vision/gate.ts';
import type { WatchedCamera } from '../../../src/vision/thread-messages.ts';

const WHOLE = { x: 0, y: 0, w: 1, h: 1 };
const STILL: Motion = { share: 0, lightSwitch: false, relit: false, moving: [] };
const DARK: Motion = { share: 0, lightSwitch: true, relit: false, moving: [] };
const ZONES = {
  door: {
    polygon: [
      [0, 0],
      [0.3, 0],
      [0.3, 0.5],
      [0, 0.5],
    ],
  },
  gate: {
    polygon: [
      [0.6, 0.6],
      [1, 0.6],
      [1, 1],
    ],
  },
};

function camera(settings: object): WatchedCamera {
  const parsed = configSchema.parse({ cameras: { yard: { source: { kind: 'demo' }, ...settings } } });
  return parsed.cameras.yard!;
}

/** Something that moves: a core with a little room around it. */
function moving(...cores: [number, number][]): Motion {
  const box = (x: number, y: number, side: number): Box => ({ x, y, w: side, h: side });
  return {
    share: 0.01,
    lightSwitch: false,
    relit: false,
    moving: cores.map(([x, y]) => ({ core: box(x, y, 0.1), box: box(x - 0.05, y - 0.05, 0.2) })),
  };
}

/** Gates of a series of frames, one every 200 ms. */
function gates(keeper: Gatekeeper, motions: Motion[]): string[] {
  return motions.map((motion, index) => keeper.judge(motion, index * 200).gate);
}

const boxes = ({ regions }: Verdict) => regions.map(({ box }) => box);
const zones = ({ regions }: Verdict) => regions.map(({ zone }) => zone);

test('motion opens the gate, and it stays open while the motion lingers', () => {
  const keeper = new Gatekeeper(camera({ interval: 0, motion: { linger: 0.5 } }));
  const motions = [STILL, moving([0.4, 0.4]), STILL, STILL, STILL, STILL];
  assert.deepEqual(gates(keeper, motions), ['still', 'motion', 'motion', 'motion', 'still', 'still']);
});

test('the regions that moved are classified, and still are while they linger', () => {
  const keeper = new Gatekeeper(camera({ interval: 0 }));
  const seen = moving([0.4, 0.4], [0.7, 0.1]);
  const verdict = keeper.judge(seen, 0);
  assert.deepEqual(
    boxes(verdict),
    seen.moving.map(({ box }) => box),
  );
  assert.deepEqual(zones(verdict), [null, null]);
  assert.deepEqual(boxes(keeper.judge(STILL, 200)), boxes(verdict));
});

test('the whole frame is classified on motion where that is configured', () => {
  const keeper = new Gatekeeper(camera({ interval: 0, classify: 'frame' }));
  assert.deepEqual(boxes(keeper.judge(moving([0.4, 0.4], [0.7, 0.1]), 0)), [WHOLE]);
  assert.deepEqual(keeper.judge(STILL, 5000), { gate: 'still', regions: [] });
});

test('a moving region belongs to the zone that covers most of what moved', () => {
  const keeper = new Gatekeeper(camera({ interval: 0, zones: ZONES }));
  assert.deepEqual(zones(keeper.judge(moving([0.1, 0.1], [0.4, 0.2], [0.85, 0.7]), 0)), [
    'door',
    null,
    'gate',
  ]);
});

test('zones are classified completely, but only those with motion', () => {
  const keeper = new Gatekeeper(camera({ interval: 0, classify: 'zones', zones: ZONES }));
  const door = { box: { x: 0, y: 0, w: 0.3, h: 0.5 }, zone: 'door' };
  assert.deepEqual(keeper.judge(moving([0.25, 0.2]), 0), { gate: 'motion', regions: [door] });
  assert.equal(keeper.judge(moving([0.62, 0.85]), 5000).gate, 'still', 'beside the slope of the gate');
  assert.deepEqual(zones(keeper.judge(moving([0.9, 0.65], [0, 0]), 6000)), ['door', 'gate']);
});

test('with gate always every frame is classified, moving or not', () => {
  const frame = new Gatekeeper(camera({ gate: 'always', classify: 'frame' }));
  assert.deepEqual(frame.judge(DARK, 0), { gate: 'always', regions: [{ box: WHOLE, zone: null }] });
  const zoned = new Gatekeeper(camera({ gate: 'always', classify: 'zones', zones: ZONES }));
  assert.deepEqual(zones(zoned.judge(STILL, 0)), ['door', 'gate']);
  const motion = new Gatekeeper(camera({ gate: 'always', classify: 'motion' }));
  assert.deepEqual(boxes(motion.judge(STILL, 0)), [WHOLE]);
  assert.equal(boxes(motion.judge(moving([0.1, 0.1], [0.5, 0.5]), 200)).length, 2);
});

test('a still scene is analysed once per interval, counted from the last analysis', () => {
  const keeper = new Gatekeeper(camera({ interval: 2, motion: { linger: 0 } }));
  const gateAt = (now: number, motion = STILL) => keeper.judge(motion, now).gate;
  assert.equal(gateAt(0), 'interval');
  assert.equal(gateAt(1900), 'still');
  assert.equal(gateAt(2000), 'interval');
  assert.equal(gateAt(3000, moving([0.5, 0.5])), 'motion');
  assert.equal(gateAt(4500), 'still');
  assert.equal(gateAt(5000), 'interval');
});

test('a lamp closes the gate, lingering motion or not, but open events are still analysed', () => {
  const keeper = new Gatekeeper(camera({ interval: 0 }));
  keeper.judge(moving([0.5, 0.5]), 0);
  assert.deepEqual(keeper.judge(DARK, 200), { gate: 'light-switch', regions: [] });
  keeper.setOpen([{ box: WHOLE, zone: null }]);
  assert.equal(keeper.judge(DARK, 1200).gate, 'event');
});

test('light in a part of the frame is the reason when nothing moves besides it', () => {
  const keeper = new Gatekeeper(camera({ interval: 0, motion: { linger: 0 } }));
  const relit = { ...STILL, relit: true };
  assert.deepEqual(keeper.judge(relit, 0), { gate: 'light-switch', regions: [] });
  assert.equal(keeper.judge({ ...moving([0.5, 0.5]), relit: true }, 200).gate, 'motion');
});

test('the region of an open event is analysed with every motion, otherwise once a second', () => {
  const keeper = new Gatekeeper(camera({ interval: 0, motion: { linger: 0 } }));
  const sofa: Region = { box: { x: 0.7, y: 0.7, w: 0.2, h: 0.2 }, zone: null };
  keeper.setOpen([sofa]);
  assert.deepEqual(keeper.judge(STILL, 0), { gate: 'event', regions: [sofa] });
  assert.equal(keeper.judge(STILL, 900).gate, 'still');
  assert.deepEqual(keeper.judge(STILL, 1000), { gate: 'event', regions: [sofa] });
  const elsewhere = keeper.judge(moving([0.2, 0.2]), 1200);
  assert.equal(elsewhere.gate, 'motion');
  assert.deepEqual(elsewhere.regions[1], sofa);
  assert.equal(keeper.judge(moving([0.75, 0.75]), 1400).regions.length, 1, 'its region moves already');
  keeper.setOpen([]);
  assert.equal(keeper.judge(STILL, 9000).gate, 'still');
});

test('two open events at the same place are analysed once', () => {
  const keeper = new Gatekeeper(camera({ interval: 0 }));
  const region: Region = { box: { x: 0.1, y: 0.1, w: 0.3, h: 0.3 }, zone: null };
  keeper.setOpen([region, { ...region, box: { ...region.box, x: 0.12 } }, { ...region, zone: 'door' }]);
  assert.equal(keeper.judge(STILL, 0).regions.length, 2);
});
