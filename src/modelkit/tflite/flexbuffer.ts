/**
 * Reads a FlexBuffer (https://flatbuffers.dev/internals/#flexbuffers) that is one flat map of numbers, as custom
 * operators of TensorFlow Lite keep their options. The bytes cannot be trusted: reading beyond them throws.
 */

const INT = 1;
const UINT = 2;
const FLOAT = 3;
const MAP = 9;
const BOOL = 26;

/** Numbers and booleans (as 0 and 1) by name; entries of other types are left out. @throws RangeError, Error */
export function readNumbers(bytes: Uint8Array): Map<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rootWidth = view.getUint8(bytes.length - 1);
  if (view.getUint8(bytes.length - 2) >> 2 !== MAP) throw new Error('the options are not a map');
  const width = 1 << (view.getUint8(bytes.length - 2) & 3);
  const rootAt = bytes.length - 2 - rootWidth;
  const values = rootAt - readUint(view, rootAt, rootWidth);
  const length = readUint(view, values - width, width);
  const keysAt = values - 3 * width;
  const keys = keysAt - readUint(view, keysAt, width);
  const keyWidth = readUint(view, values - 2 * width, width);
  if (length > bytes.length) throw new RangeError(`a map of ${length} entries does not fit`);
  const found = new Map<string, number>();
  for (let index = 0; index < length; index++) {
    const keyAt = keys + index * keyWidth;
    const value = readNumber(
      view,
      values + index * width,
      width,
      view.getUint8(values + length * width + index) >> 2,
    );
    if (value !== null) found.set(readKey(bytes, keyAt - readUint(view, keyAt, keyWidth)), value);
  }
  return found;
}

function readNumber(view: DataView, at: number, width: number, type: number): number | null {
  if (type === UINT || type === BOOL) return readUint(view, at, width);
  if (type === FLOAT) return width === 8 ? view.getFloat64(at, true) : view.getFloat32(at, true);
  if (type !== INT) return null;
  switch (width) {
    case 1:
      return view.getInt8(at);
    case 2:
      return view.getInt16(at, true);
    case 4:
      return view.getInt32(at, true);
    default:
      return Number(view.getBigInt64(at, true));
  }
}

function readUint(view: DataView, at: number, width: number): number {
  switch (width) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true);
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true));
    default:
      throw new RangeError(`no number has ${width} bytes`);
  }
}

function readKey(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  if (at < 0 || end < 0) throw new RangeError('a name lies outside of the options');
  return Buffer.from(bytes.subarray(at, end)).toString('latin1');
}
