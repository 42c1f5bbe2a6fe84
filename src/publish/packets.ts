/** MQTT packets as bytes: their sizes, and a record of those received last. */

/** Names of the packets that a broker sends, by type. */
const PACKET_NAMES: Record<number, string> = {
  2: 'CONNACK',
  3: 'PUBLISH',
  4: 'PUBACK',
  5: 'PUBREC',
  6: 'PUBREL',
  7: 'PUBCOMP',
  9: 'SUBACK',
  11: 'UNSUBACK',
  13: 'PINGRESP',
  14: 'DISCONNECT',
  15: 'AUTH',
};

/** Bytes recorded from the start of a packet. */
const REMEMBERED = 12;
/** Packets recorded from one chunk; further ones are ignored. */
const MOST_PACKETS = 32;

/** The size of a PUBLISH packet without properties, in bytes. */
export function publishBytes(
  { topic, payload, qos }: { topic: string; payload: string | Uint8Array; qos: 0 | 1 },
  version: 4 | 5,
): number {
  const body =
    2 + Buffer.byteLength(topic) + (qos === 0 ? 0 : 2) + (version === 5 ? 1 : 0) + Buffer.byteLength(payload);
  return 1 + lengthBytes(body) + body;
}

/** Bytes of the length field itself. */
function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}

/** A packet of the broker, as far as it is recorded. */
export interface ReceivedPacket {
  name: string;
  bytes: Uint8Array;
  /** Set for PUBACK. */
  messageId: number | null;
  /** Set for CONNACK, PUBACK and DISCONNECT. */
  reasonCode: number | null;
}

/**
 * Records the beginnings of the packets in the last chunk from the broker. mqtt.js closes a connection at a packet that
 * it cannot parse, and its error does not include the packet.
 */
export class PacketRecorder {
  #packets: number[][] = [];
  /** Of the packet that is being received: its first bytes, and how many are still to come; null: not known yet. */
  #head: number[] = [];
  #rest: number | null = null;

  add(chunk: Uint8Array): void {
    this.#packets = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#rest === null) {
        this.#head.push(chunk[at++]!);
        this.#rest = remainingLength(this.#head);
        if (this.#rest !== null && this.#packets.length < MOST_PACKETS) this.#packets.push(this.#head);
      } else {
        const here = Math.min(this.#rest, chunk.length - at);
        const room = Math.max(0, REMEMBERED - this.#head.length);
        this.#head.push(...chunk.subarray(at, at + Math.min(here, room)));
        at += here;
        this.#rest -= here;
      }
      if (this.#rest === 0) {
        this.#head = [];
        this.#rest = null;
      }
    }
    // Also record a beginning whose length is not known yet.
    if (this.#packets.length === 0 && this.#head.length > 0) this.#packets.push(this.#head);
  }

  /** The packet that an error message such as `Invalid puback reason code` means; null: nothing was received. */
  find(error: string): ReceivedPacket | null {
    const packets = this.#packets.map(parse);
    const named = packets.filter(({ name }) => error.toUpperCase().includes(name));
    return named.find(({ reasonCode }) => (reasonCode ?? 0) >= 128) ?? named.at(-1) ?? packets.at(-1) ?? null;
  }
}

/** The length of the rest of a packet, from its first bytes; null: more bytes are needed. */
function remainingLength(head: readonly number[]): number | null {
  let length = 0;
  for (const [index, byte] of head.slice(1).entries()) {
    length += (byte & 127) * 128 ** index;
    if (byte < 128 || index === 3) return length;
  }
  return null;
}

function parse(bytes: number[]): ReceivedPacket {
  const name = PACKET_NAMES[bytes[0]! >> 4] ?? `a packet of type ${bytes[0]! >> 4}`;
  const body = bytes.slice(1 + Math.max(1, bytes.slice(1).findIndex((byte) => byte < 128) + 1));
  const id = name === 'PUBACK' && body.length >= 2 ? body[0]! * 256 + body[1]! : null;
  const code = { CONNACK: body[1], PUBACK: body[2], DISCONNECT: body[0] }[name];
  return { name, bytes: Uint8Array.from(bytes), messageId: id, reasonCode: code ?? null };
}
