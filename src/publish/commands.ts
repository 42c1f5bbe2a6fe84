/** Commands that arrive over MQTT. Whatever is not exactly right is refused. */

/** Camera, setting and value, as the parameters of a handler: the setting tells the type of the value. */
export type Command =
  | [camera: string, setting: 'enabled' | 'detect', value: boolean]
  | [camera: string, setting: 'threshold', value: number]
  | [camera: string, setting: 'model', value: string]
  | [camera: string, setting: 'snapshot', value: null];

/** A setting of a camera and its value, as parameters. */
export type SettingState = Exclude<Command, [string, 'snapshot', null]>;

/** A decimal number as people and home automation write it: no sign, no exponent, nothing around it. */
const DECIMAL = /^(\d{1,3}(\.\d{1,17})?|\.\d{1,17})$/;

/**
 * Reads a command.
 * @param known names of the cameras, and of the models that they may use
 * @returns the command, or why it was refused, in words for the log
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
  switch (setting) {
    case 'enabled':
    case 'detect':
      return text === 'ON' || text === 'OFF' ? [camera, setting, text === 'ON'] : refuse('ON or OFF');
    case 'threshold':
      return text !== null && DECIMAL.test(text) && Number(text) <= 1
        ? [camera, setting, Number(text)]
        : refuse('a number from 0 to 1');
    case 'model':
      return text !== null && models.includes(text)
        ? [camera, setting, text]
        : refuse(`one of the models ${models.join(', ')}`);
    case 'snapshot':
      return text === 'PRESS' || text === '' ? [camera, setting, null] : refuse('PRESS or nothing');
    default:
      return `expected one of the settings enabled, detect, threshold, model, snapshot, found ${show(setting)}`;
  }
}

const show = (text: string) => JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
