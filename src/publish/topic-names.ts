/**
 * Names of labels, devices and cameras as parts of topics and ids. A part depends on the name alone, not on other names
 * or their order, and two names never share one. In a name that cannot stay unchanged, forbidden characters are replaced
 * and a short hash of the name distinguishes it from others that look the same afterwards.
 */
import { createHash } from 'node:crypto';

/** Longest topic level that is made of a name, without the hash, in characters. */
const LONGEST = 64;

/** Allowed: letters, marks, digits, punctuation and symbols of all scripts, except what MQTT or this file uses. */
const NOT_IN_TOPIC = /[^\p{L}\p{M}\p{N}\p{P}\p{S}]|[/+#$~]/gu;
const NOT_IN_ID = /[^a-zA-Z0-9_-]+/g;

/** A name in the form in which names are compared: independent of how accents were typed. */
export function canonical(name: string): string {
  return name.normalize('NFC').toWellFormed();
}

/**
 * A name as one level of a topic: `Käfer` and `猫` stay, `car, auto` becomes `car,_auto~` and a hash.
 * @param reserved levels that are taken
 */
export function topicLevel(name: string, reserved: readonly string[] = []): string {
  const whole = canonical(name);
  const level = [...whole.replace(NOT_IN_TOPIC, '_')].slice(0, LONGEST).join('');
  return level === whole && level !== '' && !reserved.includes(level) ? level : `${level}~${hash(whole)}`;
}

/** A name in letters, digits, `-` and `_` of ASCII: `cat` stays, `Käfer` becomes `Kafer.` and a hash. */
export function asciiId(name: string): string {
  const whole = canonical(name);
  const id = plain(whole);
  return id === whole && id !== '' ? id : `${id}.${hash(whole)}`;
}

/**
 * A device's identifier, such as `lookout_garden`: letters, digits, `-` and `_` only. `a_b` and `c` give another
 * identifier than `a` and `b_c`.
 * @param device lower case, as the configuration requires
 */
export function deviceId(base: string, device: string): string {
  const whole = canonical(base);
  // The base ends at the first `_`, unless upper case shows that there is a hash.
  if (plain(whole) === whole && !whole.includes('_')) return `${whole}_${device}`;
  return `${plain(whole)}_${device}-X${hash(`${whole}/${device}`).toUpperCase()}`;
}

/** ASCII as far as possible: accents are removed, other scripts become `_`. */
function plain(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(NOT_IN_ID, '_')
    .slice(0, LONGEST);
}

function hash(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
