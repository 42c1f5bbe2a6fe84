import { type Logger, pino } from 'pino';

/** A line of the log with its fields. */
export interface FakeLogLine {
  level: number;
  msg: string;
  code?: string;
  hint?: string;
  [field: string]: unknown;
}

/** A logger that keeps its lines for the test to read. */
export class FakeLog {
  readonly lines: FakeLogLine[] = [];
  readonly logger: Logger = pino(
    { level: 'trace' },
    { write: (line: string) => this.lines.push(JSON.parse(line) as FakeLogLine) },
  );

  /** Everything that was logged, as one text. */
  get text(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }

  withCode(code: string): FakeLogLine[] {
    return this.lines.filter((line) => line.code === code);
  }
}
