import { type Command, InvalidArgumentError } from 'commander';
import type { Claims, UnclaimedFile } from '../store/unclaimed.ts';
import { type LogOptions, loadLogConfig, withLog } from './options.ts';

interface Options extends LogOptions {
  of?: string;
  unmarked?: true;
  copies?: true;
  yes?: true;
  json?: true;
}

/** Files of one owner, and the options that select them. */
interface Group {
  title: string;
  choice: string[] | null;
  files: UnclaimedFile[];
}

/** `lookout clean`: the user decides about files that Lookout cannot prove to be its own. */
export function cleanCommand(program: Command): void {
  withLog(
    program
      .command('clean')
      .description(
        'list unclaimed files (snapshots and copies that are not in the database), and delete those that you choose',
      ),
  )
    .option(
      '--of <id>',
      'select the snapshots that an installation marked as its own: the first digits of its id',
      id,
    )
    .option('--unmarked', 'select files that have the name of a snapshot but no mark')
    .option('--copies', 'select damaged, earlier and set-aside copies of the database')
    .option('--yes', 'delete the selected files without asking')
    .option('--json', 'print one JSON object per file')
    .addHelpText(
      'after',
      [
        '',
        'Without --of, --unmarked or --copies, nothing is deleted. Files that do not have the name of a snapshot or a',
        'copy are never deleted. If another Lookout writes to the same folder, its snapshots are listed too: do not',
        'select them.',
        '',
        'Examples:',
        '  $ sudo -u lookout lookout clean',
        '  $ sudo -u lookout lookout clean --of 8c0f3b1e',
        '  $ sudo -u lookout lookout clean --of 8c0f3b1e --yes',
      ].join('\n'),
    )
    .action(clean);
}

function id(text: string): string {
  if (!/^[0-9a-f]{4,32}$/.test(text)) {
    throw new InvalidArgumentError(
      'expected at least four of the hexadecimal digits that `lookout clean` shows.',
    );
  }
  return text;
}

async function clean(options: Options): Promise<void> {
  const { Claims, removeUnclaimed, sum, unclaimedCopies, unclaimedSnapshots } = await import(
    '../store/unclaimed.ts'
  );
  const { unwritable } = await import('../store/database.ts');
  const { dirname } = await import('node:path');
  const { config } = await loadLogConfig(options);
  const { file, snapshots } = config.store;
  const claims = new Claims(file);
  try {
    const found: UnclaimedFile[] = [];
    for await (const one of unclaimedSnapshots(snapshots, claims)) found.push(one);
    found.push(...(await unclaimedCopies(file, claims)));
    const groups = group(found, claims);
    const chosen = groups.filter(({ choice }) => isChosen(choice, options)).flatMap(({ files }) => files);
    await print(isChoosing(options) ? chosen : found, groups, options);
    if (chosen.length === 0 || !(await confirm(sum(chosen), options))) return;
    const done = chosen.filter((one) => {
      const folder = one.owner.kind === 'copy' ? dirname(file) : snapshots;
      try {
        return removeUnclaimed(one, folder, claims) === 'removed';
      } catch (error) {
        throw unwritable('file', one.path, error);
      }
    });
    const left = chosen.length - done.length;
    process.stderr.write(
      `Deleted ${sum(done)}${left > 0 ? `; skipped ${left} that changed in the meantime` : ''}.\n`,
    );
  } finally {
    claims.close();
  }
}

/** Files by owner; those of this installation first. */
function group(found: readonly UnclaimedFile[], { installation }: Claims): Group[] {
  const groups = new Map<string, Group>();
  for (const file of found) {
    const { owner } = file;
    const key = owner.kind === 'installation' ? owner.id : owner.kind;
    const known = groups.get(key) ?? { ...headOf(owner, installation), files: [] };
    known.files.push(file);
    groups.set(key, known);
  }
  return [...groups.values()].sort((a, b) => Number(b.choice !== null) - Number(a.choice !== null));
}

function headOf(owner: UnclaimedFile['owner'], installation: string | null): Omit<Group, 'files'> {
  switch (owner.kind) {
    case 'installation':
      return {
        title:
          owner.id === installation
            ? 'snapshots of this installation that are not in its database'
            : `snapshots of installation ${owner.id}`,
        choice: ['--of', owner.id.slice(0, 8)],
      };
    case 'unmarked':
      return { title: 'files with the name of a snapshot, without a mark', choice: ['--unmarked'] };
    case 'copy':
      return { title: 'copies of the database', choice: ['--copies'] };
    case 'other':
      return { title: 'other files; Lookout never deletes them', choice: null };
  }
}

function isChoosing({ of, unmarked, copies }: Options): boolean {
  return of !== undefined || !!unmarked || !!copies;
}

function isChosen(choice: Group['choice'], options: Options): boolean {
  const [option, value = ''] = choice ?? [];
  if (option === '--of')
    return options.of !== undefined && (value.startsWith(options.of) || options.of.startsWith(value));
  return (option === '--unmarked' && !!options.unmarked) || (option === '--copies' && !!options.copies);
}

async function print(
  files: readonly UnclaimedFile[],
  groups: readonly Group[],
  options: Options,
): Promise<void> {
  const { printable } = await import('../runtime/printable.ts');
  const { size, sum } = await import('../store/unclaimed.ts');
  const printLine = (line: string) => process.stdout.write(`${line}\n`);
  if (options.json) {
    for (const { path, bytes, owner } of files) printLine(JSON.stringify({ path, bytes, owner }));
  } else if (isChoosing(options)) {
    for (const { path, bytes } of files) printLine(`${size(bytes).padStart(9)}  ${printable(path)}`);
    printLine(files.length === 0 ? 'No such files.' : sum(files));
  } else {
    for (const { title, choice, files: some } of groups) {
      printLine(`${sum(some)}: ${title}`);
      if (choice !== null) printLine(`    lookout clean ${choice.join(' ')}`);
    }
    if (groups.length === 0) printLine('No unclaimed files: the database lists every file.');
  }
}

/** Asks at a terminal whether to delete the files; elsewhere `--yes` is required. */
async function confirm(what: string, { yes }: Options): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    process.stderr.write('Nothing was deleted. Add --yes to delete these files.\n');
    return false;
  }
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`Delete ${what}? Type yes to confirm: `)).trim() === 'yes';
  } finally {
    terminal.close();
  }
}
