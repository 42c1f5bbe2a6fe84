/** Explains why a connection to the broker failed, and what to do about it. */
// The whole package is loaded with the first connection (mqtt-session.ts).
import { ReasonCodes } from 'mqtt/lib/handlers/ack';
import { type ErrorCode, LookoutError, messageOf } from '../errors.ts';
import { isEncrypted } from './credentials.ts';
import type { ReceivedPacket } from './packets.ts';
import { ProtocolError, type SessionEnd } from './requests.ts';

interface Explanation {
  code: ErrorCode;
  message: string;
  hint: string;
}

const UNREACHABLE = 'MQTT_UNREACHABLE';
const TLS = 'MQTT_TLS';
const CHECK_URL = 'Check mqtt.url, and that the broker runs and listens there.';
const CHECK_LOG = 'If it persists, check the log of the broker.';
const ALLOW = 'Allow this device to publish below its own topic in the access rules of the broker.';

const refused: Explanation = {
  code: 'MQTT_REFUSED',
  message: 'the broker refuses the user name or the password',
  hint: 'Check mqtt.username and the content of mqtt.password_file. The file is read again for each attempt.',
};
const version: Explanation = {
  code: 'MQTT_VERSION',
  message: 'the broker does not support this version of MQTT',
  hint: 'Set mqtt.version to the other version: 4 (MQTT 3.1.1) or 5.',
};
const unavailable: Explanation = {
  code: UNREACHABLE,
  message: 'the broker is busy or unavailable',
  hint: CHECK_LOG,
};
const duplicateClient: Explanation = {
  code: 'MQTT_DUPLICATE',
  message: 'another client has connected with the client id of this device',
  hint: 'Give each Lookout its own `device` name.',
};
const unknownCa: Explanation = {
  code: TLS,
  message: 'the broker’s certificate is signed by an unknown CA',
  hint: 'Set mqtt.ca_file to the CA certificate that signed it.',
};
const clientCertificate: Explanation = {
  code: TLS,
  message: 'the broker refuses this client’s certificate',
  hint: 'Check mqtt.cert_file and mqtt.key_file: the broker must know the CA that signed it.',
};
const notTls: Explanation = {
  code: TLS,
  message: 'the broker does not speak TLS on this port',
  hint: 'Check the port in mqtt.url. For a connection without TLS, write mqtt:// instead of mqtts://.',
};

/** By Node's error code, OpenSSL's, or MQTT's return code (3.1.1: 1…5, 5: 128…). */
const KNOWN: Record<string, Explanation> = {
  ECONNREFUSED: { code: UNREACHABLE, message: 'the connection was refused', hint: CHECK_URL },
  ETIMEDOUT: { code: UNREACHABLE, message: 'the connection timed out', hint: CHECK_URL },
  EHOSTUNREACH: { code: UNREACHABLE, message: 'the host cannot be reached', hint: CHECK_URL },
  ENETUNREACH: { code: UNREACHABLE, message: 'the network is unreachable', hint: CHECK_URL },
  ENOTFOUND: { code: UNREACHABLE, message: 'the host name is unknown', hint: CHECK_URL },
  EAI_AGAIN: {
    code: UNREACHABLE,
    message: 'the host name cannot be resolved at the moment',
    hint: CHECK_URL,
  },
  '1': version,
  '132': version,
  '3': unavailable,
  '4': refused,
  '134': refused,
  '136': unavailable,
  '137': unavailable,
  '139': { ...unavailable, message: 'the broker is shutting down' },
  '138': {
    ...refused,
    message: 'the broker has banned this client',
    hint: 'Contact the broker’s administrator.',
  },
  '142': duplicateClient,
  SELF_SIGNED_CERT_IN_CHAIN: unknownCa,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownCa,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownCa,
  CERT_HAS_EXPIRED: {
    code: TLS,
    message: 'the broker’s certificate has expired',
    hint: 'Renew it. If it is not old, check the clock of this device.',
  },
  CERT_NOT_YET_VALID: {
    code: TLS,
    message: 'the broker’s certificate is not valid yet',
    hint: 'Check the clock of this device.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: TLS,
    message: 'the broker’s certificate is for another host name',
    hint: 'Use the name in the certificate as the host in mqtt.url.',
  },
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: clientCertificate,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: clientCertificate,
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: clientCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: clientCertificate,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: clientCertificate,
};

/** What is known in addition to how the session ended. */
export interface Circumstances {
  clientId: string;
  /** Connections in a row, including this one, that were up for seconds only. */
  brief: number;
}

/** An attempt that failed before there was a session. */
export function failedBeforeSession(reason: unknown): SessionEnd {
  return { reason, up: false, open: [], answered: 0 };
}

/** Explains in one line why the connection to `address` ended or could not be established. */
export function explain(address: string, end: SessionEnd, circumstances: Circumstances): LookoutError {
  const { reason } = end;
  if (reason instanceof LookoutError) return reason;
  const found =
    closedWithoutReason(address, end, circumstances) ??
    clientRefusal(end, circumstances) ??
    KNOWN[codeOf(reason)] ??
    fallback(end);
  return new LookoutError(found.code, `MQTT broker ${address}: ${found.message}`, {
    cause: reason,
    hint: found.hint,
  });
}

/**
 * The broker closed the connection without a reason. MQTT 3.1.1 has no reasons and some MQTT 5 brokers give none; the
 * moment at which it happened is a hint.
 */
function closedWithoutReason(
  address: string,
  { reason, up, open, answered }: SessionEnd,
  { brief }: Circumstances,
): Explanation | null {
  if (reason !== null && !['ECONNRESET', 'EPIPE'].includes(codeOf(reason))) return null;
  if (!up) {
    return {
      code: UNREACHABLE,
      message: 'it closes the connection before it answers',
      hint: isEncrypted(address)
        ? 'Check that the port speaks TLS (mqtt:// does not use TLS), and whether the broker requires a client certificate.'
        : 'Check that an MQTT broker listens there, and whether its port expects TLS (mqtts://).',
    };
  }
  const [first] = open;
  if (first && answered === 0) {
    return {
      code: 'MQTT_FORBIDDEN',
      message: `it closed the connection at the first message, on ${first.topic}`,
      hint: ALLOW,
    };
  }
  if (first) {
    const bytes = Math.max(...open.map((request) => request.bytes));
    const what =
      open.length > 1
        ? `${open.length} messages of up to ${bytes} bytes were in flight`
        : first.message === null
          ? `a subscription to ${first.topic} was in flight`
          : `a message of ${bytes} bytes on ${first.topic} was in flight`;
    return {
      code: UNREACHABLE,
      message: `it closed the connection while ${what}`,
      hint: 'If it persists, the message may be too large for the broker, or its access rules may forbid the topic.',
    };
  }
  if (brief >= 2) {
    return {
      ...duplicateClient,
      message: 'it closes the connection repeatedly, perhaps because another client uses the same client id',
    };
  }
  return {
    code: UNREACHABLE,
    message: 'it closed the connection',
    hint: CHECK_LOG,
  };
}

/** Refusals that concern the identity of this client. */
function clientRefusal({ reason, up }: SessionEnd, { clientId }: Circumstances): Explanation | null {
  switch (codeOf(reason)) {
    case '2':
    case '133':
      return {
        ...refused,
        message: `the broker refuses the client id ${clientId} (${clientId.length} characters)`,
        hint: 'Set mqtt.client_id. MQTT 3.1.1 brokers may accept no more than 23 letters and digits, and some require a certain prefix.',
      };
    case '5':
    case '135':
      if (up) {
        return {
          code: 'MQTT_FORBIDDEN',
          message: 'it closed the connection because its access rules forbid a topic',
          hint: ALLOW,
        };
      }
      return {
        ...refused,
        message: `the broker refuses the user name, the password or the client id ${clientId}`,
        hint: `${refused.hint} If the broker accepts certain client ids only, set mqtt.client_id.`,
      };
    default:
      return null;
  }
}

function fallback({ reason, up }: SessionEnd): Explanation {
  if (reason instanceof ProtocolError) return notMqtt(reason);
  const message = messageOf(reason);
  if (message === 'connack timeout') {
    return {
      code: UNREACHABLE,
      message: 'it accepts the connection but does not answer',
      hint: 'Check that an MQTT broker runs there, and whether its port expects TLS (mqtts://).',
    };
  }
  if (message === 'Keepalive timeout') {
    return { code: UNREACHABLE, message: 'it no longer answers', hint: CHECK_URL };
  }
  const code = codeOf(reason);
  if (/^\d+$/.test(code)) {
    return {
      code: up ? UNREACHABLE : 'MQTT_REFUSED',
      message: `it ${up ? 'closed' : 'refuses'} the connection with ${named(Number(code))}${reasonString(reason)}`,
      hint: 'Check the log of the broker.',
    };
  }
  const tls = /^(CERT_|ERR_SSL_|ERR_TLS_|EPROTO)/.test(code);
  return { code: tls ? TLS : UNREACHABLE, message, hint: tls ? 'See docs/mqtt.md on TLS.' : CHECK_URL };
}

function notMqtt({ packet, message }: ProtocolError): Explanation {
  const answer = packet === null ? message : shown(packet);
  return {
    code: 'MQTT_PROTOCOL',
    message: `it answered with ${answer}, which is not valid MQTT at this point`,
    hint: 'Check that an MQTT broker listens at mqtt.url, and try mqtt.version: 4. See also the log of the broker.',
  };
}

/** What a broker sent: as text if it is text, else its meaning and its first bytes. */
function shown({ name, bytes, reasonCode }: ReceivedPacket): string {
  const text = Buffer.from(bytes).toString('latin1');
  if (/^[\x20-\x7e\r\n]{4,}$/.test(text)) return JSON.stringify(text);
  const code = reasonCode === null || reasonCode === 0 ? '' : ` with ${named(reasonCode)}`;
  return `${name}${code} (bytes ${Buffer.from(bytes)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')})`;
}

function named(code: number): string {
  const name = (ReasonCodes as Record<number, string>)[code];
  return `reason code ${code}${name ? ` (${name})` : ''}`;
}

/** The reason string of an MQTT 5 broker, without control characters. */
function reasonString(reason: unknown): string {
  const text = (reason as { reasonString?: unknown }).reasonString;
  if (typeof text !== 'string' || text === '') return '';
  return `: ${JSON.stringify(text.replace(/[\p{C}]/gu, ' ').slice(0, 200))}`;
}

/**
 * The code of an error from Node.js, OpenSSL or MQTT; empty if it has none. If several IP addresses of a host were
 * tried, the code is that of the first failure.
 */
export function codeOf(reason: unknown): string {
  if (reason instanceof AggregateError && reason.errors.length > 0) return codeOf(reason.errors[0]);
  if (typeof reason !== 'object' || reason === null || !('code' in reason)) return '';
  return String(reason.code);
}
