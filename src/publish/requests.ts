/** Requests to a broker, and how they end. */
import { messageOf } from '../errors.ts';
import type { ReceivedPacket } from './packets.ts';

export interface Message {
  topic: string;
  payload: string | Uint8Array;
  qos: 0 | 1;
  retain: boolean;
  /** Makes a payload of at most `bytes` bytes; null if that is impossible. */
  smaller?: (bytes: number) => Promise<Uint8Array | null>;
}

/** A message to publish, or a topic filter to subscribe to. */
export interface Request {
  topic: string;
  /** The original message; null for a subscription. */
  message: Message | null;
  /** The flags with which it is sent. */
  qos: 0 | 1;
  retain: boolean;
  /** Size of the whole packet. */
  bytes: number;
}

/** How a session ended. */
export interface SessionEnd {
  /** The error; null: the broker closed the connection without a reason. */
  reason: unknown;
  /** The broker had accepted the connection. */
  up: boolean;
  /** Requests without an answer, oldest first. */
  open: Request[];
  /** How many requests the broker has answered. */
  answered: number;
}

/** The broker sent something that is not MQTT, or not this version of it. */
export class ProtocolError extends Error {
  readonly packet: ReceivedPacket | null;
  /** The request that the packet answers, as far as known. */
  readonly request: Request | null;

  constructor(cause: unknown, packet: ReceivedPacket | null, request: Request | null) {
    super(messageOf(cause), { cause });
    this.packet = packet;
    this.request = request;
  }
}

/** A message is larger than the broker accepts. */
export class TooLargeError extends Error {
  /** Size of the whole packet, and the most that the broker accepts. */
  readonly bytes: number;
  readonly limit: number;
  /** Bytes available for the payload. */
  readonly room: number;

  constructor(message: Message, bytes: number, limit: number) {
    super(`${bytes} bytes are more than the broker accepts (${limit})`);
    this.bytes = bytes;
    this.limit = limit;
    this.room = Math.max(0, limit - (bytes - Buffer.byteLength(message.payload)));
  }
}
