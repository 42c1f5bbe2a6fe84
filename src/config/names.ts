/** Names of devices, cameras, zones and models: they become parts of topics and of paths. */
export const NAME = {
  pattern: /^[a-z0-9][a-z0-9_-]{0,39}$/,
  rule: 'lower-case letters, digits, - and _, at most 40, starting with a letter or digit',
};

/** What cameras call the model under `model`; those under `models` have names of their own. */
export const DEFAULT_MODEL = 'default';
