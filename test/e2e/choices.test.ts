import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { startBroker } from '../support/broker.ts';
import { lookout } from '../support/cli.ts';
import { DaemonProcess, tempFolder } from '../support/daemon.ts';
import { FailingDisk } from '../support/failing-disk.ts';
import { cutPower, filesBelow } from '../support/power-cut.ts';
import { Recorder } from '../support/recorder.ts';
import { requires } from '../support/requires.ts';
import { until } from '../support/until.ts';

const topic = (name: string) => `lookout/dut/gate/${name}`;

/** A broker, somebody who listens, and the settings of a daemon in a folder of its own. */
async function house(t: TestContext, gate: object = {}) {
  const broker = await startBroker();
  t.after(() => broker.remove());
  const folder = tempFolder();
  const settings = (changes: object = gate) => ({
    device: 'dut',
    cameras: { gate: { source: { kind: 'demo' }, ...changes } },
    mqtt: { ...broker.mqtt },
    health_interval: 1,
  });
  const start = (config: object = settings(), env: NodeJS.ProcessEnv = {}) => {
    const daemon = new DaemonProcess(config, folder, env);
    t.after(() => daemon.child.kill('SIGKILL'));
    return daemon;
  };
  const listen = async () => {
    const recorder = await Recorder.connect(broker.url);
    t.after(() => recorder.end());
    return recorder;
  };
  const choices = (...args: string[]) => lookout(['choices', ...args, '-c', join(folder, 'lookout.yaml')]);
  return { broker, folder, settings, start, listen, choices };
}

/** How many frames the camera gave, by its health. */
function captured(recorder: Recorder): number | null {
  const health = recorder.last('lookout/dut/health');
  if (health === undefined) return null;
  return (JSON.parse(health) as { cameras: Record<string, { captured: number }> }).cameras.gate!.captured;
}

test('a camera that was turned off over MQTT captures nothing after a power cut, however short after', {
  skip: requires('cc'),
}, async (t) => {
  const { folder, start, listen, choices } = await house(t);
  const data = join(folder, 'data');
  const disk = new FailingDisk(data);
  const before = filesBelow(data);
  const recorder = await listen();
  const first = start(undefined, disk.env);
  await recorder.sees(topic('status'), 'online');
  await recorder.publish(topic('enabled/set'), 'OFF');
  await recorder.sees(topic('enabled'), 'OFF');
  await first.stop('SIGKILL');
  cutPower(data, disk.log, before, null);
  await recorder.sees('lookout/dut/status', 'offline');

  const late = await listen();
  const second = start();
  const line = await second.line(({ msg }) => /enabled of gate is OFF since .*, as set over MQTT/.test(msg));
  assert.equal(line.level, 'warn');
  await late.sees('lookout/dut/status', 'online');
  // The first message may be the retained one of the first run.
  await until('health of this run', () => late.texts('lookout/dut/health').length > 1);
  assert.equal(captured(late), 0);
  assert.equal(late.last(topic('enabled')), 'OFF');
  assert.ok(!late.texts(topic('status')).slice(1).includes('online'));

  // While it runs it is told over MQTT, and writes its database itself.
  const { stdout } = await choices('list');
  assert.match(stdout, /^gate +enabled +OFF +since \d{4}-.* configured: ON$/m);
  const { code, stderr } = await choices('clear', 'gate', 'enabled');
  assert.equal(code, 0, stderr);
  await late.sees(topic('status'), 'online');
  await late.sees(topic('enabled'), 'ON');
  assert.match((await choices('list')).stderr, /no runtime settings/);
  assert.equal((await second.stop()).code, 0);
});

test('choices are undone by RESET, by the command line, and by another value in the configuration', async (t) => {
  const { folder, settings, start, listen, choices } = await house(t);
  const recorder = await listen();
  const first = start();
  await recorder.sees(topic('status'), 'online');
  await until('the threshold', () => recorder.last(topic('threshold')) !== undefined);
  const configured = recorder.last(topic('threshold'))!;
  await recorder.publish(topic('threshold/set'), '0.9');
  await recorder.sees(topic('threshold'), '0.9');
  await recorder.publish(topic('threshold/set'), 'RESET');
  await recorder.sees(topic('threshold'), configured);
  for (const [setting, value] of [
    ['enabled', 'OFF'],
    ['detect', 'OFF'],
    ['threshold', '0.95'],
  ] as const) {
    await recorder.publish(topic(`${setting}/set`), value);
    await recorder.sees(topic(setting), value);
  }

  // The configuration is read again: first as it was, then with another value.
  const reload = async (changes: object) => {
    const told = first.log.length;
    writeFileSync(join(folder, 'lookout.yaml'), stringify(settings(changes)));
    first.child.kill('SIGHUP');
    await until('the reload', () =>
      first.log.slice(told).some(({ msg }) => msg.startsWith('configuration reloaded')),
    );
  };
  await reload({});
  assert.equal(recorder.last(topic('detect')), 'OFF');
  await reload({ detect: false });
  assert.match(first.log.at(-1)!.msg, /configuration reloaded/);
  await reload({});
  await recorder.sees(topic('detect'), 'ON');
  await reload({ labels: { person: { on: 0.85 } } });
  await until('the threshold of the configuration', () => recorder.last(topic('threshold')) !== '0.95');
  assert.equal(recorder.last(topic('enabled')), 'OFF');
  await first.stop();

  // While no daemon runs, the command writes the database.
  assert.match(
    (await choices('list', '--json')).stdout,
    /^\{"camera":"gate","setting":"enabled","value":false/,
  );
  assert.equal((await choices('clear')).code, 0);
  const second = start(settings());
  await recorder.sees(topic('status'), 'online');
  await recorder.sees(topic('enabled'), 'ON');
  await recorder.publish(topic('enabled/set'), 'OFF');
  await recorder.sees(topic('enabled'), 'OFF');
  await second.stop();

  const third = start(settings({ stall: 20, enabled: false }));
  await third.line(({ msg }) =>
    /enabled of gate: runtime setting OFF dropped, the configuration applies again/.test(msg),
  );
  await third.stop();
  const fourth = start(settings());
  await recorder.sees(topic('status'), 'online');
  await fourth.stop();
});

test('5000 commands at once are a few lines in the log, and the last one counts', async (t) => {
  const { start, listen } = await house(t);
  const recorder = await listen();
  const daemon = start();
  await recorder.sees(topic('status'), 'online');
  const told = daemon.log.length;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: 5000 }, (_, i) =>
      recorder.publish(topic('threshold/set'), (0.2 + i / 10_000).toFixed(4)),
    ),
  );
  await recorder.sees(topic('threshold'), '0.6999');
  const seconds = (performance.now() - began) / 1000;
  await until('the count', () => {
    const lines = daemon.log.slice(told).filter(({ msg }) => msg.startsWith('command applied: '));
    return lines.reduce((sum, { times }) => sum + (typeof times === 'number' ? times : 1), 0) === 5000;
  });
  const lines = daemon.log.slice(told).filter(({ msg }) => msg.startsWith('command applied: '));
  assert.ok(lines.length <= seconds + 3, `${lines.length} lines in ${seconds} s`);
  t.diagnostic(
    `${lines.length} lines, ${recorder.texts(topic('threshold')).length} states in ${seconds.toFixed(1)} s`,
  );
  await daemon.stop();
});
