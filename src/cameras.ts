/** All cameras of the daemon. They are built together, and together they decide when there is nothing left to do. */
import { randomFillSync } from 'node:crypto';
import type { HealthMonitor } from './board/health.ts';
import { Camera, type CameraParts } from './camera.ts';
import { FailureEscalation } from './capture/failure-escalation.ts';
import { EXIT } from './errors.ts';
import { createIdSource } from './runtime/id.ts';
import type { ResolvedCamera } from './setup/resolved.ts';
import type { Service } from './types.ts';

/** Why the daemon should stop, and the exit code of its process. */
export interface End {
  reason: string;
  code: number;
}

export interface CamerasOptions extends Omit<CameraParts, 'newId' | 'onFrame' | 'onFailures' | 'onEnd'> {
  resolved: ReadonlyMap<string, ResolvedCamera>;
  monitor: Pick<HealthMonitor, 'captured'>;
  /** Called when no camera has anything left to deliver, or only a new process can help. */
  onEnd: (end: End) => void;
}

export class Cameras implements Service {
  readonly #cameras = new Map<string, Camera>();
  readonly #onEnd: (end: End) => void;

  constructor({ resolved, monitor, onEnd, ...parts }: CamerasOptions) {
    this.#onEnd = onEnd;
    const newId = createIdSource(randomFillSync);
    const escalation = new FailureEscalation({
      log: parts.log,
      cameras: () =>
        [...this.#cameras.values()]
          .filter(({ idle, failure }) => !idle && failure === null)
          .map(({ name }) => name),
      onGiveUp: (reason) => onEnd({ reason, code: EXIT.internal }),
    });
    for (const [name, settings] of resolved) {
      const camera = new Camera(name, settings, {
        ...parts,
        newId,
        onFrame: () => monitor.captured(name),
        onFailures: (_, failures) => {
          // After a permanent failure neither another camera nor a new process helps: the user has to fix it.
          escalation.report(name, camera.failure === null ? failures : 0);
          if (camera.failure) this.#endIfIdle();
        },
        onEnd: () => this.#endIfIdle(),
      });
      this.#cameras.set(name, camera);
    }
  }

  get byName(): ReadonlyMap<string, Camera> {
    return this.#cameras;
  }

  async start(): Promise<void> {
    await Promise.all([...this.#cameras.values()].map((camera) => camera.start()));
  }

  /** Stops all cameras; their open events stay open until `close`. */
  async stop(): Promise<void> {
    await Promise.all([...this.#cameras.values()].map((camera) => camera.stop()));
  }

  /** Ends every open event; resolves when all is committed, as far as the disk accepts it. */
  async close(): Promise<void> {
    await Promise.all([...this.#cameras.values()].map((camera) => camera.close()));
  }

  /** Ends the daemon when every replay has reached its end, or cannot play. */
  #endIfIdle(): void {
    const cameras = [...this.#cameras.values()];
    if (!cameras.every(({ idle }) => idle)) return;
    const failed = cameras.find(({ failure }) => failure !== null);
    if (!failed?.failure) this.#onEnd({ reason: 'every replay has come to its end', code: EXIT.ok });
    else {
      const { code, exitCode } = failed.failure;
      this.#onEnd({ reason: `no camera has anything to play; ${failed.name}: ${code}`, code: exitCode });
    }
  }
}
