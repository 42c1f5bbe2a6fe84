import { DEFAULT_MODEL } from '../config/names.ts';
import type { DeviceInfo } from '../publish/payloads.ts';
import { VERSION } from '../version.ts';
import type { SessionInfo } from '../vision/inference-session.ts';
import type { Resolved } from './resolved.ts';

export interface DeviceState {
  /** Name of the board; null if the machine does not tell. */
  board: string | null;
  resolved: Pick<Resolved, 'models' | 'cameras'>;
  /** What runs the models that are in use, by their key; at least one. */
  sessions: ReadonlyMap<string, SessionInfo>;
  /** Why the latest configuration was refused; null: it was not. */
  configError: string | null;
}

/**
 * The content of the retained `info` message. Provider and kernel are those of the default model or, while no camera
 * uses that one, of any other.
 */
export function deviceInfo({ board, resolved, sessions, configError }: DeviceState): DeviceInfo {
  const model = resolved.models.get(DEFAULT_MODEL)!;
  const session = sessions.get(model.key) ?? [...sessions.values()][0]!;
  return {
    version: VERSION,
    board,
    model: model.description.name,
    model_sha256: model.sha256,
    provider: session.provider,
    int8_kernel: session.kernel.name,
    int8_kernel_reason: session.kernel.reason,
    cameras: [...resolved.cameras.keys()],
    models: Object.fromEntries(
      [...resolved.models].map(([name, { description }]) => [name, description.name]),
    ),
    config_error: configError,
  };
}
