/**
 * Proxies of the environment. They are for the internet: Lookout connects directly to cameras and brokers of the local network,
 * although some programs (ffmpeg, GStreamer) would use these proxies without a message.
 */
const VARIABLES = /^(https?|all|ftp|socks)_proxy$/i;

/** Names of the variables that name a proxy. Their values may hold a password. */
export function proxyVariables(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env).filter((name) => VARIABLES.test(name) && env[name] !== '');
}

/** The environment for programs that must reach cameras directly. */
export function withoutProxies(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !VARIABLES.test(name)));
}
