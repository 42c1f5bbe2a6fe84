/** What a broker is asked, and what becomes of it. */
import { messageOf } from '../errors.ts';
import type { Heard } from './packets.ts';

/** One MQTT message. */
export interface Message {
  topic: string;
  payload: string | Uint8Array;
  qos: 0 | 1;
  retain: boolean;
  /** Makes a payload of at most so many bytes; null where that cannot be. */
  smaller?: (bytes: number) => Promise<Uint8Array | null>;
}

/** Something that the broker is asked: to take a message, or to send those of a topic filter. */
export interface Request {
  topic: string;
  /** As it was given; null: a subscription. */
  message: Message | null;
  /** As they are sent. */
  qos: 0 | 1;
  retain: boolean;
  /** Of the whole packet. */
  bytes: number;
}

/** How a session ended. */
export interface SessionEnd {
  /** What was thrown or told; null: the other side just closed it. */
  reason: unknown;
  /** The broker had said yes. */
  up: boolean;
  /** What was asked and not answered, oldest first. */
  open: Request[];
  /** How many requests the broker has answered. */
  answered: number;
}

/** The broker said something that is not MQTT, or not of this version. */
export class ProtocolError extends Error {
  readonly heard: Heard | null;
  /** The message that it was the answer to, as far as that is known. */
  readonly about: Request | null;

  constructor(complaint: unknown, heard: Heard | null, about: Request | null) {
    super(messageOf(complaint), { cause: complaint });
    this.heard = heard;
    this.about = about;
  }
}

/** A message is larger than the broker takes. */
export class TooLargeError extends Error {
  /** Of the whole packet, and most that the broker takes of it. */
  readonly bytes: number;
  readonly limit: number;
  /** Bytes that the payload may have. */
  readonly room: number;

  constructor(message: Message, bytes: number, limit: number) {
    super(`${bytes} bytes are more than the broker takes (${limit})`);
    this.bytes = bytes;
    this.limit = limit;
    this.room = Math.max(0, limit - (bytes - Buffer.byteLength(message.payload)));
  }
}
