import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { tempFolder } from '../support/folder.ts';
import { requires } from '../support/requires.ts';

const skip = requires('systemd-notify', 'systemd-socket-activate');
const module = new URL('../../src/runtime/systemd.ts', import.meta.url).href;

let folder: string;
before(() => {
  folder = tempFolder();
});

/** A unix datagram socket and what arrives there, as systemd would see it. */
async function receiver(name: string) {
  const socket = join(folder, name);
  const child = spawn(
    'systemd-socket-activate',
    ['--datagram', `--listen=${socket}`, 'sh', '-c', 'exec cat <&3'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  while (!existsSync(socket)) await turn();
  const stop = async () => {
    child.kill();
    await once(child, 'close');
    // Each message of systemd-notify ends with its barrier.
    return text.split('BARRIER=1').filter((message) => message !== '');
  };
  return { socket, stop };
}

/** Runs code with `notify` and `Watchdog` in a process of its own. */
function run(code: string, env: NodeJS.ProcessEnv): ChildProcess {
  const program = `import { notify, Watchdog } from ${JSON.stringify(module)};\n${code}`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
}

describe('systemd', { skip }, () => {
  test('readiness, status and the end reach systemd in the order of the calls', async () => {
    const systemd = await receiver('order');
    const child = run(
      `void notify('READY=1', 'STATUS=watching 2\\ncameras');
     void notify('STATUS=all is well');
     await notify('STOPPING=1');`,
      { NOTIFY_SOCKET: systemd.socket },
    );
    await once(child, 'close');
    assert.deepEqual(await systemd.stop(), [
      'READY=1\nSTATUS=watching 2 cameras',
      'STATUS=all is well',
      'STOPPING=1',
    ]);
  });

  test('the watchdog reaches systemd as long as there is progress', async () => {
    const systemd = await receiver('watchdog');
    const child = run(
      `import { systemClock } from ${JSON.stringify(new URL('../../src/runtime/clock.ts', import.meta.url).href)};
     let frames = 0;
     const log = { error: (text) => { process.stderr.write(text); clearInterval(alive); } };
     const watchdog = new Watchdog({ clock: systemClock, log, progress: () => Math.min(++frames, 3), idle: () => false });
     const alive = setInterval(() => {}, 1000);
     await watchdog.start();`,
      { NOTIFY_SOCKET: systemd.socket, WATCHDOG_USEC: '100000' },
    );
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    await once(child, 'close');
    assert.deepEqual(await systemd.stop(), ['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    assert.match(errors, /no frame was finished/);
  });

  test('a daemon whose messages do not arrive goes on and says so once', async () => {
    const child = run(`await notify('READY=1'); await notify('STOPPING=1');`, {
      NOTIFY_SOCKET: join(folder, 'nobody'),
    });
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    assert.equal(errors.match(/systemd was not told READY=1/g)?.length, 1);
    assert.doesNotMatch(errors, /STOPPING/);
  });
});
