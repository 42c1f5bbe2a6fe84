/** Errors for the answers of a network camera. HTTP and RTSP share their status codes. */
import { type ErrorCode, LookoutError } from '../errors.ts';

/** A camera as errors describe it. */
export interface NetworkCamera {
  /** Its URL without secrets. */
  where: string;
  /** Whether its URL has a user or password. */
  login: boolean;
}

const LOGIN_HINT =
  'Correct the user and password in the camera URL; write special characters as %XX. Lookout retries three times, then ' +
  'every ten minutes, because many cameras lock an account after a few failures. Restart Lookout to retry immediately.';
const NO_LOGIN_HINT =
  'The camera requires a user and password: write them into its URL, in a file that `url_file` names.';

interface Meaning {
  code: ErrorCode;
  hint: string;
}

const BUSY = 'CAPTURE_BUSY';
const MEANINGS: Record<number, Meaning> = {
  404: {
    code: 'CAPTURE_NOT_OFFERED',
    hint: 'Check the path of the camera URL: the manual or the settings page of the camera gives it.',
  },
  429: {
    code: BUSY,
    hint: 'The camera gets too many requests: lower `fps`, or stop other programs that use it.',
  },
  453: {
    code: BUSY,
    hint: 'The bandwidth of the camera is used up: close other viewers, or use its second, smaller stream.',
  },
  461: {
    code: 'CAPTURE_NOT_OFFERED',
    hint: 'The camera does not support this transport: set `transport` to the other one (tcp or udp).',
  },
  503: {
    code: BUSY,
    hint: 'The camera is starting or has too many viewers: close others, or use its second, smaller stream.',
  },
};
MEANINGS[410] = MEANINGS[404]!;
const OWN_FAULT: Meaning = {
  code: BUSY,
  hint: 'This is a fault of the camera: restart the camera if the fault persists.',
};
const OTHER: Meaning = {
  code: 'CAPTURE_ENDED',
  hint: 'Check the camera URL: open it in a browser or in ffplay to see what the camera serves.',
};

/** @param answer the status with its text, such as `404 Not Found` */
export function answerError({ where, login }: NetworkCamera, status: number, answer: string): LookoutError {
  if (status === 401 || status === 403) {
    const what = login ? 'the camera rejects the user or password' : 'the camera requires a login';
    return new LookoutError('CAPTURE_REFUSED', `${where}: ${what} (${answer})`, {
      hint: login ? LOGIN_HINT : NO_LOGIN_HINT,
    });
  }
  const { code, hint } = MEANINGS[status] ?? (status >= 500 ? OWN_FAULT : OTHER);
  return new LookoutError(code, `${where}: the camera answers ${answer}`, { hint });
}

export function unreachable({ where }: NetworkCamera, why: string): LookoutError {
  return new LookoutError('CAPTURE_UNREACHABLE', `${where}: cannot reach the camera: ${why}`, {
    hint: 'Check the host and port of the camera URL, the network, and that the camera is switched on.',
  });
}

export function badCertificate({ where }: NetworkCamera, why: string): LookoutError {
  return new LookoutError('CAPTURE_DEVICE', `${where}: certificate rejected: ${why}`, {
    hint: 'Set `ca_file` to the certificate of the camera or of its authority, or turn verification off with `verify: false`.',
  });
}

const UNREACHABLE =
  /connection refused|timed out|no route to host|unreachable|name or service not known|name resolution|resolve hostname|no address associated/i;

/** The camera fault that the last lines of ffmpeg show; undefined when they show none. */
export function ffmpegFault(camera: NetworkCamera, lines: readonly string[]): LookoutError | undefined {
  for (const line of lines) {
    const [, answer] = /(?:method \w+ failed|HTTP error|Server returned):? (\d{3}\b[^(]*)/.exec(line) ?? [];
    if (answer !== undefined) return answerError(camera, Number.parseInt(answer, 10), answer.trim());
    if (/5XX Server Error/.test(line)) return answerError(camera, 500, '5XX Server Error');
    // How ffmpeg reports `461 Unsupported transport` when no transport is left.
    if (/Protocol not supported/.test(line)) return answerError(camera, 461, '461 Unsupported transport');
  }
  const certificate = lines.findLast((line) => /certificate/i.test(line));
  if (certificate) return badCertificate(camera, certificate);
  const [network] = lines.findLast((line) => UNREACHABLE.test(line))?.match(UNREACHABLE) ?? [];
  return network === undefined ? undefined : unreachable(camera, network);
}
