/** The configuration file a command should use: the one named, else $LOOKOUT_CONFIG, else none (defaults). */
export function configFile(named: string | undefined): string | undefined {
  return named ?? (process.env.LOOKOUT_CONFIG || undefined);
}
