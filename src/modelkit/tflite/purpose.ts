/** Refuses TensorFlow Lite files that are made for another purpose, before their operators are checked. */
import { basename } from 'node:path';
import { LookoutError } from '../../errors.ts';
import { checkInput, checkNetwork, type Port } from '../../model/classifier-check.ts';
import type { TfliteModel, TfliteTensor } from './read-tflite.ts';

/** Operators that contain a complete network compiled for another chip. */
const COMPILED: [operator: RegExp, chip: string, before: string][] = [
  [/edgetpu-custom-op/, 'the Edge TPU (Coral)', 'the Edge TPU compiler'],
  [/ethos-u/, 'Arm’s Ethos-U', 'Vela'],
  [/Neutron/, 'NXP’s Neutron', 'the Neutron converter'],
  [/DISPATCH_OP/, 'the NPU of a phone', 'the compiler of LiteRT'],
];
/** Suffixes that compilers add to file names. */
const SUFFIX = /_(edgetpu|vela)(?=\.tflite$)/i;

/**
 * @param file named in errors
 * @param detects the outputs are known to be those of a detector
 * @throws LookoutError MODEL_COMPILED, MODEL_INPUT_UNSUPPORTED, MODEL_OUTPUT_UNSUPPORTED
 */
export function checkPurpose(
  { inputs, outputs, operators }: TfliteModel,
  file: string,
  detects = false,
): void {
  const names = new Set(operators.map(({ name }) => name));
  for (const [operator, chip, before] of COMPILED) {
    if (![...names].some((name) => operator.test(name))) continue;
    const plain = basename(file).replace(SUFFIX, '');
    const called = plain === basename(file) ? '' : `, probably ${plain}`;
    throw new LookoutError('MODEL_COMPILED', `${file} is compiled for ${chip} and runs nowhere else`, {
      hint: `Use the file that ${before} was given${called}.`,
    });
  }
  const network = { inputs: inputs.map(port), outputs: outputs.map(port), operators: names };
  if (detects) checkInput(network, file);
  else checkNetwork(network, file);
}

function port({ name, type, shape }: TfliteTensor): Port {
  return { name, type, shape };
}
