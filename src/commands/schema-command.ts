import type { Command } from 'commander';

/** `lookout schema` */
export function schemaCommand(program: Command): void {
  program
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .option('--example', 'print a commented configuration file with every setting instead')
    .addHelpText('after', '\nExample:\n  $ lookout schema --example > lookout.yaml')
    .action(async (options: { example?: true }) => {
      const { exampleConfig, jsonSchema } = await import('../config/reference.ts');
      process.stdout.write(options.example ? exampleConfig() : `${JSON.stringify(jsonSchema(), null, 2)}\n`);
    });
}
