import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailureEscalation } from '../../../src/capture/failure-escalation.ts';
import { FakeLog } from '../../fakes/log.ts';

function ladder(env: NodeJS.ProcessEnv = { NOTIFY_SOCKET: '/run/systemd/notify' }) {
  const log = new FakeLog();
  const hopeless: string[] = [];
  const made = new FailureEscalation({
    log: log.logger,
    cameras: () => ['door', 'yard'],
    onGiveUp: (reason) => hopeless.push(reason),
    env,
    survey: async () => ({
      found: [
        {
          description: 'USB camera /dev/video2',
          reason: '',
          source: { kind: 'v4l2', device: '/dev/video2' },
        },
      ],
      missing: [],
    }),
  });
  return { made, log, hopeless };
}

test('after every third failure in a row the cameras of the machine are logged', async () => {
  const { made, log } = ladder();
  for (let failures = 1; failures <= 6; failures++) {
    made.report('door', failures);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const said = log.lines.map(({ msg }) => msg);
  assert.deepEqual(said, Array(2).fill('cameras found on this machine: USB camera /dev/video2'));
});

test('a new process is requested only when every camera keeps failing', () => {
  const { made, hopeless } = ladder();
  for (let failures = 1; failures <= 50; failures++) made.report('door', failures);
  assert.deepEqual(hopeless, []);
  for (let failures = 1; failures <= 7; failures++) made.report('yard', failures);
  assert.deepEqual(hopeless, []);
  made.report('yard', 0);
  for (let failures = 1; failures <= 8; failures++) made.report('yard', failures);
  assert.equal(hopeless.length, 1);
});

test('without a service manager no new process is requested', () => {
  const { made, hopeless } = ladder({});
  for (const camera of ['door', 'yard']) made.report(camera, 50);
  assert.deepEqual(hopeless, []);
});
