/** Why a connection to the broker failed, and what to do about it. */
// The package as a whole is loaded with the first connection (mqtt-session.ts).
import { ReasonCodes } from 'mqtt/lib/handlers/ack';
import { type ErrorCode, LookoutError, messageOf } from '../errors.ts';
import { isEncrypted } from './credentials.ts';
import type { Heard } from './packets.ts';
import { ProtocolError, type SessionEnd } from './requests.ts';

interface Explanation {
  code: ErrorCode;
  says: string;
  hint: string;
}

const UNREACHABLE = 'MQTT_UNREACHABLE';
const TLS = 'MQTT_TLS';
const CHECK_URL = 'Check mqtt.url, and that the broker runs and listens there.';

const refused: Explanation = {
  code: 'MQTT_REFUSED',
  says: 'the broker refuses the user name or the password',
  hint: 'Check mqtt.username and the content of mqtt.password_file; files are read anew at each attempt.',
};
const version: Explanation = {
  code: 'MQTT_VERSION',
  says: 'the broker does not speak this version of MQTT',
  hint: 'Set mqtt.version to the other one: 4 (MQTT 3.1.1) or 5.',
};
const unavailable: Explanation = {
  code: UNREACHABLE,
  says: 'the broker says that it is busy or unavailable',
  hint: 'See the log of the broker if it goes on.',
};
const duplicateClient: Explanation = {
  code: 'MQTT_DUPLICATE',
  says: 'another client has connected under the name of this device',
  hint: 'Give each Lookout its own `device` name.',
};
const unknownCa: Explanation = {
  code: TLS,
  says: 'the broker’s certificate is signed by nobody known here',
  hint: 'Set mqtt.ca_file to the CA certificate that signed it.',
};
const clientCertificate: Explanation = {
  code: TLS,
  says: 'the broker does not accept this client’s certificate',
  hint: 'Check mqtt.cert_file and mqtt.key_file: the broker must know the CA that signed it.',
};
const notTls: Explanation = {
  code: TLS,
  says: 'the other side does not speak TLS',
  hint: 'Check the port in mqtt.url; for a connection without TLS write mqtt:// instead of mqtts://.',
};

/** By Node's error code, OpenSSL's, or MQTT's return code (3.1.1: 1…5, 5: 128…). */
const KNOWN: Record<string, Explanation> = {
  ECONNREFUSED: { code: UNREACHABLE, says: 'nothing listens there', hint: CHECK_URL },
  ETIMEDOUT: { code: UNREACHABLE, says: 'nobody answers', hint: CHECK_URL },
  EHOSTUNREACH: { code: UNREACHABLE, says: 'the host cannot be reached', hint: CHECK_URL },
  ENETUNREACH: { code: UNREACHABLE, says: 'there is no network', hint: CHECK_URL },
  ENOTFOUND: { code: UNREACHABLE, says: 'the host name is unknown', hint: CHECK_URL },
  EAI_AGAIN: { code: UNREACHABLE, says: 'the host name cannot be looked up now', hint: CHECK_URL },
  '1': version,
  '132': version,
  '3': unavailable,
  '4': refused,
  '134': refused,
  '136': unavailable,
  '137': unavailable,
  '139': { ...unavailable, says: 'the broker is shutting down' },
  '138': { ...refused, says: 'the broker has banned this client', hint: 'Ask who runs the broker.' },
  '142': duplicateClient,
  SELF_SIGNED_CERT_IN_CHAIN: unknownCa,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownCa,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownCa,
  CERT_HAS_EXPIRED: {
    code: TLS,
    says: 'the broker’s certificate has expired',
    hint: 'Renew it; if it is not old, check the clock of this device.',
  },
  CERT_NOT_YET_VALID: {
    code: TLS,
    says: 'the broker’s certificate is not valid yet',
    hint: 'Check the clock of this device.',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    code: TLS,
    says: 'the broker’s certificate is for another host name',
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

/** What is known besides how the session ended. */
export interface Circumstances {
  clientId: string;
  /** Connections in a row, this one included, that were up for seconds only. */
  brief: number;
}

/** An attempt that came to nothing before there was a session. */
export function neverBegun(reason: unknown): SessionEnd {
  return { reason, up: false, open: [], answered: 0 };
}

/** Says in one line why the connection to `address` ended or never came about. */
export function explain(address: string, end: SessionEnd, circumstances: Circumstances): LookoutError {
  const { reason } = end;
  if (reason instanceof LookoutError) return reason;
  const found =
    withoutWords(address, end, circumstances) ??
    ofClient(end, circumstances) ??
    KNOWN[codeOf(reason)] ??
    fallback(end);
  return new LookoutError(found.code, `MQTT broker ${address}: ${found.says}`, {
    cause: reason,
    hint: found.hint,
  });
}

/**
 * The other side closed without a reason. MQTT 3.1.1 has none to give and some brokers of MQTT 5 give none; when it
 * happened tells a little.
 */
function withoutWords(
  address: string,
  { reason, up, open, answered }: SessionEnd,
  { brief }: Circumstances,
): Explanation | null {
  if (reason !== null && !['ECONNRESET', 'EPIPE'].includes(codeOf(reason))) return null;
  if (!up) {
    return {
      code: UNREACHABLE,
      says: 'it closes the connection before it answers',
      hint: isEncrypted(address)
        ? 'Check that its port speaks TLS (mqtt:// is without), and whether the broker wants a client certificate.'
        : 'Check that an MQTT broker listens there, and whether its port expects TLS (mqtts://).',
    };
  }
  const [first] = open;
  if (first && answered === 0) {
    return {
      code: 'MQTT_FORBIDDEN',
      says: `it ended the connection at the first message, for ${first.topic}`,
      hint: 'Allow this device to publish below its own topic in the access rules of the broker.',
    };
  }
  if (first) {
    const bytes = Math.max(...open.map((request) => request.bytes));
    const what =
      open.length > 1
        ? `${open.length} messages of up to ${bytes} bytes were on their way`
        : first.message === null
          ? `it was asked for ${first.topic}`
          : `${bytes} bytes for ${first.topic} were on their way`;
    return {
      code: UNREACHABLE,
      says: `it ended the connection while ${what}`,
      hint: 'If it comes again: the message may be too large for the broker, or its access rules forbid the topic.',
    };
  }
  if (brief >= 2) {
    return {
      ...duplicateClient,
      says: 'it ends the connection again and again, perhaps for another client of the same name',
    };
  }
  return {
    code: UNREACHABLE,
    says: 'it ended the connection',
    hint: 'See the log of the broker if it goes on.',
  };
}

/** Refusals that have to do with who we are. */
function ofClient({ reason, up }: SessionEnd, { clientId }: Circumstances): Explanation | null {
  switch (codeOf(reason)) {
    case '2':
    case '133':
      return {
        ...refused,
        says: `the broker refuses the client id ${clientId} (${clientId.length} characters)`,
        hint: 'Set mqtt.client_id. Brokers of MQTT 3.1.1 need not take more than 23 letters and digits, and some want a certain beginning.',
      };
    case '5':
    case '135':
      if (up) {
        return {
          code: 'MQTT_FORBIDDEN',
          says: 'it ended the connection at something that its access rules forbid',
          hint: 'Allow this device to publish below its own topic in the access rules of the broker.',
        };
      }
      return {
        ...refused,
        says: `the broker refuses the user name, the password or the client id ${clientId}`,
        hint: `${refused.hint} A broker that lets in certain client ids only wants mqtt.client_id.`,
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
      says: 'it takes the connection but does not answer',
      hint: 'Check that an MQTT broker runs there, and whether its port expects TLS (mqtts://).',
    };
  }
  if (message === 'Keepalive timeout') {
    return { code: UNREACHABLE, says: 'it no longer answers', hint: CHECK_URL };
  }
  const code = codeOf(reason);
  if (/^\d+$/.test(code)) {
    return {
      code: up ? UNREACHABLE : 'MQTT_REFUSED',
      says: `it ${up ? 'ended' : 'refuses'} the connection with ${named(Number(code))}${toldBy(reason)}`,
      hint: 'See the log of the broker.',
    };
  }
  const tls = /^(CERT_|ERR_SSL_|ERR_TLS_|EPROTO)/.test(code);
  return { code: tls ? TLS : UNREACHABLE, says: message, hint: tls ? 'See docs/mqtt.md on TLS.' : CHECK_URL };
}

function notMqtt({ heard, message }: ProtocolError): Explanation {
  const answered = heard === null ? message : shown(heard);
  return {
    code: 'MQTT_PROTOCOL',
    says: `it answered with ${answered}, which MQTT does not have there`,
    hint: 'Check that an MQTT broker listens at mqtt.url, and try mqtt.version: 4. The log of the broker may say more.',
  };
}

/** What a broker said: as text if it is one, else what it means, and its first bytes. */
function shown({ name, bytes, reasonCode }: Heard): string {
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

/** The broker's own words, as far as they can be shown. */
function toldBy(reason: unknown): string {
  const said = (reason as { said?: unknown }).said;
  if (typeof said !== 'string' || said === '') return '';
  return `: ${JSON.stringify(said.replace(/[\p{C}]/gu, ' ').slice(0, 200))}`;
}

/**
 * The code of an error, of Node.js, OpenSSL or MQTT; empty: it has none. Several addresses of one host are tried; then
 * the first failure speaks for all.
 */
export function codeOf(reason: unknown): string {
  if (reason instanceof AggregateError && reason.errors.length > 0) return codeOf(reason.errors[0]);
  if (typeof reason !== 'object' || reason === null || !('code' in reason)) return '';
  return String(reason.code);
}
