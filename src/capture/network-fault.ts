/** What went wrong between here and a network camera, by what it answers. HTTP and RTSP share their numbers. */
import { type ErrorCode, LookoutError } from '../errors.ts';

/** A camera as its faults are told. */
export interface NetworkCamera {
  /** Its address for people. */
  where: string;
  /** Whether its address has a user or password. */
  login: boolean;
}

const LOGIN_HINT =
  'Correct user and password in its address; special characters are written as %XX. Lookout tries three times, then ' +
  'every ten minutes, because many cameras lock an account after a few failures; a restart of Lookout tries at once.';
const NO_LOGIN_HINT =
  'The camera wants a user and a password: write them into its address, in a file that `url_file` names.';

interface Meaning {
  code: ErrorCode;
  hint: string;
}

const BUSY = 'CAPTURE_BUSY';
const MEANINGS: Record<number, Meaning> = {
  404: {
    code: 'CAPTURE_NOT_OFFERED',
    hint: 'Check the path of its address: the manual of the camera, or its page of settings, names it.',
  },
  429: { code: BUSY, hint: 'The camera is asked too often: lower `fps`, or end other programs that ask it.' },
  453: {
    code: BUSY,
    hint: 'Its bandwidth is used up: end other viewers, or use its second, smaller stream.',
  },
  461: {
    code: 'CAPTURE_NOT_OFFERED',
    hint: 'It does not send over this transport: set `transport` of the camera to the other one (tcp or udp).',
  },
  503: {
    code: BUSY,
    hint: 'It is starting, or has as many viewers as it can serve: end others, or use its second, smaller stream.',
  },
};
MEANINGS[410] = MEANINGS[404]!;
const OWN_FAULT: Meaning = { code: BUSY, hint: 'This is a fault of the camera: restart it if it lasts.' };
const OTHER: Meaning = {
  code: 'CAPTURE_ENDED',
  hint: 'Check the address; a browser or ffplay on a desktop shows what the camera answers.',
};

/** @param answer the number with its words, such as `404 Not Found` */
export function answerError({ where, login }: NetworkCamera, status: number, answer: string): LookoutError {
  if (status === 401 || status === 403) {
    const what = login ? 'the camera refuses user and password' : 'the camera refuses access without a login';
    return new LookoutError('CAPTURE_REFUSED', `${where}: ${what} (${answer})`, {
      hint: login ? LOGIN_HINT : NO_LOGIN_HINT,
    });
  }
  const { code, hint } = MEANINGS[status] ?? (status >= 500 ? OWN_FAULT : OTHER);
  return new LookoutError(code, `${where}: the camera answers ${answer}`, { hint });
}

export function unreachable({ where }: NetworkCamera, why: string): LookoutError {
  return new LookoutError('CAPTURE_UNREACHABLE', `${where}: the camera cannot be reached: ${why}`, {
    hint: 'Check host and port of its address, that it is switched on, and the network between it and this machine.',
  });
}

export function badCertificate({ where }: NetworkCamera, why: string): LookoutError {
  return new LookoutError('CAPTURE_DEVICE', `${where}: its certificate is not accepted: ${why}`, {
    hint: 'Name the camera’s own certificate or its authority with `ca_file`, or do without with `verify: false`.',
  });
}

const UNREACHABLE =
  /connection refused|timed out|no route to host|unreachable|name or service not known|name resolution|resolve hostname|no address associated/i;

/** What the last words of ffmpeg say about the camera; undefined when it is something else. */
export function ffmpegFault(camera: NetworkCamera, lines: readonly string[]): LookoutError | undefined {
  for (const line of lines) {
    const [, answer] = /(?:method \w+ failed|HTTP error|Server returned):? (\d{3}\b[^(]*)/.exec(line) ?? [];
    if (answer !== undefined) return answerError(camera, Number.parseInt(answer, 10), answer.trim());
    if (/5XX Server Error/.test(line)) return answerError(camera, 500, '5XX Server Error');
    // What ffmpeg makes of `461 Unsupported transport`, once no transport is left.
    if (/Protocol not supported/.test(line)) return answerError(camera, 461, '461 Unsupported transport');
  }
  const certificate = lines.findLast((line) => /certificate/i.test(line));
  if (certificate) return badCertificate(camera, certificate);
  const [network] = lines.findLast((line) => UNREACHABLE.test(line))?.match(UNREACHABLE) ?? [];
  return network === undefined ? undefined : unreachable(camera, network);
}
