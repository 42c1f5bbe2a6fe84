/**
 * Every error that a user can meet, with its stable code and the exit code that it leads to.
 * A test compares this table with docs/errors.md.
 */

/** Exit codes as in sysexits.h. The systemd unit prevents a restart after `EX_CONFIG` (78). */
export const EXIT = {
  ok: 0,
  unhealthy: 1,
  usage: 64,
  noInput: 66,
  internal: 70,
  output: 74,
  config: 78,
} as const;

/** Code → exit code of a command that ends with it. */
export const ERROR_CODES = {
  BOARD_OVERRUN: EXIT.internal,
  CAPTURE_ADDRESS: EXIT.config,
  CAPTURE_BUSY: EXIT.internal,
  CAPTURE_DEVICE: EXIT.config,
  CAPTURE_ENDED: EXIT.internal,
  CAPTURE_FILE: EXIT.config,
  CAPTURE_FRAME_SIZE: EXIT.internal,
  CAPTURE_HANGING: EXIT.internal,
  CAPTURE_NO_CAMERA: EXIT.config,
  CAPTURE_NOT_OFFERED: EXIT.config,
  CAPTURE_PROGRAM_FAILED: EXIT.internal,
  CAPTURE_PROGRAM_MISSING: EXIT.config,
  CAPTURE_REFUSED: EXIT.config,
  CAPTURE_STALLED: EXIT.internal,
  CAPTURE_STREAM: EXIT.internal,
  CAPTURE_UNREACHABLE: EXIT.internal,
  CONFIG_INVALID: EXIT.config,
  CONFIG_TOO_NEW: EXIT.config,
  CONFIG_UNREADABLE: EXIT.config,
  CONFIG_UNWRITABLE: EXIT.config,
  IMAGE_UNREADABLE: EXIT.noInput,
  INTERNAL: EXIT.internal,
  LABEL_UNKNOWN: EXIT.config,
  MODEL_CALIBRATION_EMPTY: EXIT.config,
  MODEL_CHECKSUM: EXIT.config,
  MODEL_CHECKSUM_UNKNOWN: EXIT.config,
  MODEL_COMPILED: EXIT.config,
  MODEL_CORRUPT: EXIT.config,
  MODEL_DESCRIPTION_INVALID: EXIT.config,
  MODEL_DESCRIPTION_MISSING: EXIT.config,
  MODEL_DOWNLOAD_FAILED: EXIT.internal,
  MODEL_EXISTS: EXIT.config,
  MODEL_FORMAT_UNSUPPORTED: EXIT.config,
  MODEL_INPUT_UNSUPPORTED: EXIT.config,
  MODEL_IN_USE: EXIT.config,
  MODEL_LABELS_MISMATCH: EXIT.config,
  MODEL_MISSING: EXIT.config,
  MODEL_NOT_QUANTIZED: EXIT.config,
  MODEL_OPERATOR_UNSUPPORTED: EXIT.config,
  MODEL_OUTPUT_UNSUPPORTED: EXIT.config,
  MODEL_PROVIDER_MISSING: EXIT.config,
  MODEL_QUANTIZATION_INVALID: EXIT.config,
  MODEL_STUCK: EXIT.internal,
  MODEL_UNKNOWN: EXIT.config,
  MODEL_UNUSABLE: EXIT.config,
  MODEL_WRITE_FAILED: EXIT.config,
  MQTT_CREDENTIALS_INVALID: EXIT.config,
  MQTT_CREDENTIALS_UNREADABLE: EXIT.config,
  MQTT_DUPLICATE: EXIT.config,
  MQTT_FORBIDDEN: EXIT.config,
  MQTT_LIMITED: EXIT.internal,
  MQTT_LISTEN_FAILED: EXIT.config,
  MQTT_PORT_IN_USE: EXIT.config,
  MQTT_PROTOCOL: EXIT.internal,
  MQTT_REFUSED: EXIT.config,
  MQTT_TLS: EXIT.config,
  MQTT_UNREACHABLE: EXIT.internal,
  MQTT_VERSION: EXIT.config,
  OUTPUT_FAILED: EXIT.output,
  PROFILE_CRASHED: EXIT.internal,
  PROFILE_INVALID: EXIT.config,
  PROFILE_UNWRITABLE: EXIT.config,
  STORE_BUDGET: EXIT.internal,
  STORE_BUSY: EXIT.internal,
  STORE_CORRUPT: EXIT.config,
  STORE_FULL: EXIT.internal,
  STORE_LOCKED: EXIT.internal,
  STORE_MISSING: EXIT.config,
  STORE_TOO_NEW: EXIT.config,
  STORE_TOO_OLD: EXIT.config,
  STORE_UNREADABLE: EXIT.config,
  STORE_UNWRITABLE: EXIT.config,
  SYSTEM_UNSUPPORTED: EXIT.config,
  TIME_UNKNOWN: EXIT.internal,
  TUNE_UNREACHABLE: EXIT.config,
  USAGE: EXIT.usage,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * The only error class. The message names the setting or device, what was expected and what was found; `hint` is a full
 * sentence that says what to do.
 */
export class LookoutError extends Error {
  override readonly name = 'LookoutError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; hint?: string | undefined } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code];
  }
}

/** The output of a command could not be written to `where`, for example because the disk is full. */
export function outputFailed(where: string, cause: unknown): LookoutError {
  return new LookoutError('OUTPUT_FAILED', `cannot write ${where}: ${messageOf(cause)}`, {
    cause,
    hint: 'Free disk space or choose another file. The output so far is incomplete.',
  });
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether the operating system reported the error, for example because a file does not exist. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

/** The error code of SQLite or of the system, or `''`. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
