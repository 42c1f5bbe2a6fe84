/** Power and heat, as far as the board tells. */
import { type BoardOptions, readBoard } from '../board/board.ts';
import { type Check, type Finding, fail, ok, warn } from './check.ts';

/** °C at which a Raspberry Pi begins to slow down, and at which it does so hard (raspberrypi.com, "Frequency management"). */
const WARM = 70;
const HOT = 80;

const POWER = 'Use the power supply made for the board, and a short, thick cable.';
const COOLING = 'Give it air, a heat sink or a fan; lower `fps`, or let fewer cameras run.';

/** `PATH` says where the firmware's program is. */
export const checkBoard: Check = ({ root }) => inspectBoard({ root });

export async function inspectBoard(options: BoardOptions): Promise<Finding[]> {
  const { model, temperature_c, throttled, throttle_reasons } = await readBoard(options);
  return [
    ok('board', model ?? 'unknown'),
    power(throttled, throttle_reasons),
    temperature(temperature_c, throttle_reasons),
  ];
}

function power(throttled: boolean | null, reasons: readonly string[]): Finding {
  if (throttled === null) return ok('power', 'this board does not tell');
  const says = (reason: string) => reasons.includes(reason);
  for (const [bit, text] of [
    ['under-voltage', 'the voltage is too low'],
    ['over-current', 'the current is too high'],
  ] as const) {
    if (says(bit)) return fail('power', `${text} right now`, POWER);
    if (says(`${bit}-since-boot`)) return warn('power', `${text} now and then since the last boot`, POWER);
  }
  return ok('power', 'enough since the last boot');
}

function temperature(celsius: number | null, reasons: readonly string[]): Finding {
  const heat = reasons.filter((reason) => !/voltage|current/.test(reason));
  const text = celsius === null ? 'this board does not tell' : `${celsius} °C`;
  const now = heat.filter((reason) => !reason.endsWith('-since-boot'));
  if (now.length > 0) return warn('temperature', `${text}, slowed down: ${now.join(', ')}`, COOLING);
  if (celsius !== null && celsius >= HOT) return fail('temperature', text, COOLING);
  if (celsius !== null && celsius >= WARM) return warn('temperature', text, COOLING);
  if (heat.length > 0) return warn('temperature', `${text}, was slowed down since the last boot`, COOLING);
  return ok('temperature', text);
}
