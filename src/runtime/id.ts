/**
 * Unique, sortable identifiers: UUID version 7 (RFC 9562, section 5.7), with a 12-bit counter in `rand_a` that
 * keeps them in order within a millisecond (section 6.2, method 1).
 */

const DAY_MS = 86_400_000;

/** Fills the bytes with randomness, as `crypto.randomFillSync` does. */
export type Random = (bytes: Uint8Array) => void;

/**
 * Makes a source of UUIDs that grow strictly, also when many are asked for within one millisecond and when the
 * wall clock jumps back (then the last time is kept, as section 6.2 recommends). Only after a jump back by more than a
 * day they start again from the new time: what comes later must not sort by a time that was wrong.
 * @returns a function from milliseconds since 1970 to an identifier such as
 * `0192f7c4-9a1b-7c3e-8b52-4f6d2a9c1e07`
 */
export function createIdSource(random: Random): (now: number) => string {
  const bytes = new Uint8Array(16);
  let time = -1;
  let counter = 0;

  return (now) => {
    random(bytes);
    const wanted = Math.floor(now);
    if (wanted > time || wanted < time - DAY_MS) {
      time = wanted;
      // The counter starts in its lower half, so that at least 2048 more fit into the millisecond.
      counter = ((bytes[6]! & 0x07) << 8) | bytes[7]!;
    } else if (counter < 0xfff) {
      counter++;
    } else {
      time++;
      counter = 0;
    }
    for (let i = 0; i < 6; i++) bytes[i] = Math.floor(time / 2 ** (8 * (5 - i)));
    bytes[6] = 0x70 | (counter >> 8);
    bytes[7] = counter;
    bytes[8] = 0x80 | (bytes[8]! & 0x3f);

    const hex = Buffer.from(bytes).toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}
