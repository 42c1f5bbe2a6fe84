/** Recognises files that are not supported models by their first bytes, and tells the user what to do. */
import { basename, extname } from 'node:path';
import { LookoutError } from '../errors.ts';
import { packedNames } from './tflite/zip.ts';

interface Finding {
  is: string;
  todo: string;
}

const EXPORT =
  'Export it as a TensorFlow Lite file with full integer quantisation, or as ONNX (see docs/models.md).';
const KERAS =
  'Convert it with TensorFlow: tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model(…)); ' +
  'docs/models.md shows the complete script.';
const PYTORCH =
  'Export it with PyTorch: torch.onnx.export(model, torch.zeros(1, 3, 224, 224), "model.onnx"), with the size of your model.';
const SOURCE = 'Use the ONNX or TensorFlow Lite file that it was made from.';
const UNPACK = 'Unpack it and name the .tflite or .onnx file inside.';

const compiled = (chip: string): Finding => ({ is: `compiled for ${chip}`, todo: SOURCE });
const ARCHIVE = { is: 'an archive', todo: UNPACK };
const PICKLE = { is: 'a PyTorch checkpoint or another Python pickle', todo: PYTORCH };
const IMAGE = { is: 'an image file', todo: 'Name the model file.' };
const ENGINE = { is: 'a TensorRT engine, which runs only where it was built', todo: SOURCE };

/** Bytes, as Latin-1, at an offset in the file. */
const MARKS: [at: number, bytes: string, Finding][] = [
  [0, '\x89HDF\r\n', { is: 'a Keras model (HDF5)', todo: KERAS }],
  [0, '\x80\x02', PICKLE],
  [0, '\x80\x03', PICKLE],
  [0, '\x80\x04', PICKLE],
  [0, '\x80\x05', PICKLE],
  [4, 'ORTM', { is: 'a model in ONNX Runtime’s own format (.ort)', todo: SOURCE }],
  [0, '\x1f\x8b', ARCHIVE],
  [0, 'BZh', ARCHIVE],
  [0, '\xfd7zXZ', ARCHIVE],
  [0, '7z\xbc\xaf', ARCHIVE],
  [0, 'Rar!', ARCHIVE],
  [257, 'ustar', ARCHIVE],
  [0, '\x01HEF', compiled('a Hailo chip')],
  [0, 'RKNN', compiled('a Rockchip NPU')],
  [0, 'LDMK', compiled('a Kendryte chip')],
  [0, 'KMDL', compiled('a Kendryte chip')],
  [0, 'ptrt', ENGINE],
  [0, 'ftrt', ENGINE],
  [
    0,
    'GGUF',
    { is: 'a language model (GGUF)', todo: 'Use an image classifier: run `lookout model list` to see some.' },
  ],
  [8, '{"', { is: 'a file with only weights (safetensors)', todo: EXPORT }],
  [0, '\xff\xd8\xff', IMAGE],
  [0, '\x89PNG', IMAGE],
  [8, 'WEBP', IMAGE],
];

/** Patterns of the beginning of a text. */
const TEXTS: [RegExp, Finding][] = [
  [
    /^version https:\/\/git-lfs/,
    {
      is: 'a Git LFS pointer, not the model itself',
      todo: 'Fetch the model with `git lfs pull`, or download it from its page.',
    },
  ],
  [
    /^\s*<(!doctype|html|head|body)/i,
    {
      is: 'a web page, not the model itself',
      todo: 'Download the file itself: on GitHub and Hugging Face use the Download or Raw button.',
    },
  ],
  [/^\s*<(\?xml|net )/, { is: 'an XML file, possibly of OpenVINO', todo: EXPORT }],
  [
    /^\s*\{[\s\S]*"(modelTopology|weightsManifest|tfjsVersion)"/,
    {
      is: 'a TensorFlow.js model',
      todo: `In Teachable Machine choose TensorFlow Lite › Quantized instead. ${EXPORT}`,
    },
  ],
  [/^\s*(\{\s*"|\[\s*["{\d])/, { is: 'a JSON file', todo: 'Name the model file itself.' }],
  [
    /unsigned\s+char[\s\S]*=\s*\{\s*0x/,
    { is: 'a model written as C source', todo: 'Use the .tflite file that it was made from.' },
  ],
];

/** By file name, if the bytes are not recognised. */
const ENDINGS: Record<string, Finding> = {
  '.pb': {
    is: 'a TensorFlow model (SavedModel or frozen graph)',
    todo: `Convert it with TensorFlow: tf.lite.TFLiteConverter.from_saved_model(folder). ${EXPORT}`,
  },
  '.h5': { is: 'a Keras model', todo: KERAS },
  '.keras': { is: 'a Keras model', todo: KERAS },
  '.pt': { is: 'a PyTorch model', todo: PYTORCH },
  '.pth': { is: 'a PyTorch model', todo: PYTORCH },
  '.mlmodel': { is: 'a Core ML model', todo: EXPORT },
  '.caffemodel': { is: 'a Caffe model', todo: EXPORT },
  '.weights': { is: 'Darknet weights', todo: EXPORT },
  '.engine': ENGINE,
};

/** Size of the beginning that is checked. */
const HEAD_BYTES = 4096;

/**
 * @param expected the expected kind of file, as text
 * @returns null for unknown bytes
 */
export function foreignFile(bytes: Uint8Array, file: string, expected: string): LookoutError | null {
  const found = bytes.length === 0 ? null : findingOf(bytes, file);
  if (!found) return null;
  return new LookoutError('MODEL_FORMAT_UNSUPPORTED', `${file} is ${found.is}; expected ${expected}`, {
    hint: found.todo,
  });
}

/** @returns null unless reading failed because the file is a folder */
export function foreignFolder(cause: unknown, file: string, expected: string): LookoutError | null {
  if (!(cause instanceof Error && 'code' in cause && cause.code === 'EISDIR')) return null;
  return new LookoutError(
    'MODEL_FORMAT_UNSUPPORTED',
    `${file} is a folder, as TensorFlow SavedModels are; expected ${expected}`,
    { hint: ENDINGS['.pb']!.todo },
  );
}

function findingOf(bytes: Uint8Array, file: string): Finding | null {
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1');
  if (head.startsWith('PK\x03\x04')) return archive(bytes, file);
  const mark = MARKS.find(([at, text]) => head.startsWith(text, at));
  const text = TEXTS.find(([looks]) => looks.test(head));
  return mark?.[2] ?? text?.[1] ?? ENDINGS[extname(file).toLowerCase()] ?? null;
}

function archive(bytes: Uint8Array, file: string): Finding {
  const names = packedNames(bytes);
  const inside = names.filter((name) => /\.(tflite|onnx)$/i.test(name));
  if (inside.length > 0) {
    return {
      is: `a ZIP archive with ${inside
        .slice(0, 3)
        .map((name) => basename(name))
        .join(', ')} inside`,
      todo: UNPACK,
    };
  }
  if (names.some((name) => /(^|\/)data\.pkl$/.test(name)))
    return { is: 'a PyTorch checkpoint', todo: PYTORCH };
  if (names.some((name) => /weights\.h5$/.test(name)) || extname(file).toLowerCase() === '.keras') {
    return { is: 'a Keras model', todo: KERAS };
  }
  if (names.some((name) => name.endsWith('saved_model.pb'))) {
    return { is: 'a ZIP archive with a TensorFlow SavedModel inside', todo: ENDINGS['.pb']!.todo };
  }
  return { is: 'a ZIP archive', todo: UNPACK };
}
