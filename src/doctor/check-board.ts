/** Power and temperature, as far as the board reports them. */
import { type BoardOptions, readBoard } from '../board/board.ts';
import { type Check, type Finding, fail, ok, warn } from './check.ts';

/** °C at which a Raspberry Pi starts to throttle, and at which it throttles hard (raspberrypi.com, "Frequency management"). */
const WARM = 70;
const HOT = 80;

const POWER = 'Use the power supply that is made for the board, and a short, thick cable.';
const COOLING = 'Improve the airflow, or add a heat sink or a fan. Or lower `fps`, or run fewer cameras.';

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
  if (throttled === null) return ok('power', 'this board does not report it');
  for (const [bit, text] of [
    ['under-voltage', 'the voltage'],
    ['over-current', 'the current'],
  ] as const) {
    const level = bit === 'under-voltage' ? 'too low' : 'too high';
    if (reasons.includes(bit)) return fail('power', `${text} is ${level}`, POWER);
    if (reasons.includes(`${bit}-since-boot`))
      return warn('power', `${text} was ${level} at times since the last boot`, POWER);
  }
  return ok('power', 'sufficient since the last boot');
}

function temperature(celsius: number | null, reasons: readonly string[]): Finding {
  const thermal = reasons.filter((reason) => !/voltage|current/.test(reason));
  const text = celsius === null ? 'this board does not report it' : `${celsius} °C`;
  const now = thermal.filter((reason) => !reason.endsWith('-since-boot'));
  if (now.length > 0) return warn('temperature', `${text}, throttled: ${now.join(', ')}`, COOLING);
  if (celsius !== null && celsius >= HOT) return fail('temperature', text, COOLING);
  if (celsius !== null && celsius >= WARM) return warn('temperature', text, COOLING);
  if (thermal.length > 0)
    return warn('temperature', `${text}, throttled at times since the last boot`, COOLING);
  return ok('temperature', text);
}
