/** Commands that arrive over MQTT. Anything that is not exactly valid is refused. */
import type { Setting } from './topics.ts';

/** Settings that can be changed while Lookout runs. */
export interface SettingValues {
  enabled: boolean;
  detect: boolean;
  /** 0…1 */
  threshold: number;
  /** Name of a model. */
  model: string;
}

/** Changes a setting of a camera. `value` null: back to the configured value. */
export type SettingCommand = {
  [S in Setting]: { camera: string; setting: S; value: SettingValues[S] | null };
}[Setting];

export type Command = SettingCommand | { camera: string; setting: 'snapshot'; value: null };

/** A setting of a camera and its current value. */
export type SettingState = {
  [S in Setting]: { camera: string; setting: S; value: SettingValues[S] };
}[Setting];

/** Resets a setting to its configured value. A model with that name takes precedence. */
const RESET = /^reset$/i;

/** A decimal number: no sign, no exponent, no white space. */
const DECIMAL = /^(\d{1,3}(\.\d{1,17})?|\.\d{1,17})$/;

/**
 * Reads a command.
 * @param known names of the cameras, and of the models that they may use
 * @returns the command, or why it is refused, as text for the log
 */
export function readCommand(
  { cameras, models }: { cameras: ReadonlySet<string>; models: readonly string[] },
  { camera, setting }: { camera: string; setting: string },
  payload: Uint8Array,
): Command | string {
  if (!cameras.has(camera))
    return `expected one of the cameras ${[...cameras].join(', ')}, found ${show(camera)}`;
  const text = payload.length <= 64 ? Buffer.from(payload).toString('utf8') : null;
  const refuse = (expected: string) =>
    `expected ${expected}, found ${text === null ? `${payload.length} bytes` : show(text)}`;
  const reset = text !== null && RESET.test(text);
  switch (setting) {
    case 'enabled':
    case 'detect':
      if (reset) return { camera, setting, value: null };
      return text === 'ON' || text === 'OFF'
        ? { camera, setting, value: text === 'ON' }
        : refuse('ON, OFF or RESET');
    case 'threshold':
      if (reset) return { camera, setting, value: null };
      return text !== null && DECIMAL.test(text) && Number(text) <= 1
        ? { camera, setting, value: Number(text) }
        : refuse('a number from 0 to 1, or RESET');
    case 'model':
      if (text !== null && models.includes(text)) return { camera, setting, value: text };
      return reset
        ? { camera, setting, value: null }
        : refuse(`one of the models ${models.join(', ')}, or RESET`);
    case 'snapshot':
      return text === 'PRESS' || text === '' ? { camera, setting, value: null } : refuse('PRESS or nothing');
    default:
      return `expected one of the settings enabled, detect, threshold, model, snapshot, found ${show(setting)}`;
  }
}

const show = (text: string) => JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
