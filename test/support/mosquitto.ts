import { type ChildProcess, spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { tempFolder } from './folder.ts';
import { findProgram } from './requires.ts';

export interface MosquittoOptions {
  /** By default any free one; it stays the same over restarts. */
  port?: number;
  /** User name → password; without it everybody may connect. */
  users?: Record<string, string>;
  /** PEM files. With `clientCa`, clients must show a certificate signed by it. */
  tls?: { cert: string; key: string; clientCa?: string };
  /** Keep sessions and retained messages over restarts; written on a clean stop and by save(). */
  persistence?: boolean;
  /** More lines for its configuration. */
  lines?: string[];
}

/** A real mosquitto with a configuration of its own. */
export class Mosquitto {
  readonly port: number;
  readonly log: string[] = [];
  readonly #options: MosquittoOptions;
  readonly #folder = tempFolder();
  #child: ChildProcess | null = null;

  private constructor(port: number, options: MosquittoOptions) {
    this.port = port;
    this.#options = options;
  }

  /** Starts one; remove() stops it and deletes its files. */
  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    for (let attempt = 1; ; attempt++) {
      const broker = new Mosquitto(options.port ?? (await freePort()), options);
      try {
        await broker.start();
        return broker;
      } catch (error) {
        await broker.remove();
        // Somebody else may have taken the free port meanwhile.
        if (options.port !== undefined || attempt === 3) throw error;
      }
    }
  }

  get url(): string {
    return `${this.#options.tls ? 'mqtts' : 'mqtt'}://127.0.0.1:${this.port}`;
  }

  /** Settings that lead a publisher to it. */
  get mqtt(): { url: string; version?: 4 } {
    return { url: this.url };
  }

  /** Starts it again on the same port. */
  async start(): Promise<void> {
    const child = spawn(findProgram('mosquitto') ?? 'mosquitto', ['-c', this.#configure()], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stderr! });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        this.log.push(line);
        if (line.endsWith(' running')) resolve();
      });
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new Error(`mosquitto ended with ${code}:\n${this.log.join('\n')}`)),
      );
    });
  }

  /** Stops it: cleanly, or at once with SIGKILL. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = null;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill(signal);
    // Mosquitto 2.0 forgets a signal that comes just when it says that it runs.
    const again = setInterval(() => child.kill(signal), 500);
    await exited;
    clearInterval(again);
  }

  /** Stops and goes on: connections stay open, nothing is answered in between. */
  freeze(frozen: boolean): void {
    this.#child?.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  /** Other users and passwords from the next start on. */
  setUsers(users: Record<string, string>): void {
    this.#options.users = users;
  }

  /** Writes sessions and retained messages to disk now. */
  async save(): Promise<void> {
    const file = join(this.#folder, 'mosquitto.db');
    const written = async () => (await stat(file).catch(() => null))?.mtimeMs ?? 0;
    const before = await written();
    this.#child?.kill('SIGUSR1');
    for (let tries = 0; (await written()) === before; tries++) {
      if (tries === 1000) throw new Error('mosquitto does not save');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #configure(): string {
    const { users, tls, persistence = false, lines = [] } = this.#options;
    const passwords = join(this.#folder, 'passwords');
    if (users) writeFileSync(passwords, Object.entries(users).map(passwordLine).join(''));
    const file = join(this.#folder, 'mosquitto.conf');
    const settings = [
      `listener ${this.port} 127.0.0.1`,
      `user ${userInfo().username}`,
      'log_dest stderr',
      'log_type all',
      `allow_anonymous ${users === undefined}`,
      ...(users ? [`password_file ${passwords}`] : []),
      ...(tls ? [`certfile ${tls.cert}`, `keyfile ${tls.key}`] : []),
      ...(tls?.clientCa ? [`cafile ${tls.clientCa}`, 'require_certificate true'] : []),
      `persistence ${persistence}`,
      ...(persistence ? [`persistence_location ${this.#folder}/`, 'autosave_interval 0'] : []),
      'max_queued_messages 0',
      ...lines,
    ];
    writeFileSync(file, `${settings.join('\n')}\n`);
    return file;
  }
}

/** A port on loopback that is free just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** As `mosquitto_passwd` writes it: PBKDF2 with SHA-512, its kind 7. */
function passwordLine([user, password]: [string, string]): string {
  const salt = randomBytes(12);
  const rounds = 101;
  const hash = pbkdf2Sync(password, salt, rounds, 64, 'sha512');
  return `${user}:$7$${rounds}$${salt.toString('base64')}$${hash.toString('base64')}\n`;
}
