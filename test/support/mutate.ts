import type { Random } from '../../src/runtime/random.ts';

const NASTY = [0, 1, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff];

/** Changes some bytes, words or stretches of a file, or cuts it short. */
export function mutate(original: Uint8Array, random: Random): Uint8Array {
  let bytes = new Uint8Array(original);
  for (let change = 1 + Math.floor(random.next() * random.next() * 8); change > 0; change--) {
    const at = Math.floor(random.next() * bytes.length);
    const kind = random.next();
    if (kind < 0.4) bytes[at] = Math.floor(random.next() * 256);
    else if (kind < 0.6) bytes[at]! ^= 1 << Math.floor(random.next() * 8);
    else if (kind < 0.75) {
      new DataView(bytes.buffer).setUint32(Math.min(at, bytes.length - 4), random.pick(NASTY), true);
    } else if (kind < 0.85) bytes = bytes.slice(0, Math.max(8, at));
    else if (kind < 0.95) bytes.copyWithin(at, Math.floor(random.next() * bytes.length), bytes.length);
    else bytes.fill(0, at, at + 8);
  }
  return bytes;
}
