/** Which URLs each setting accepts, and whether they are written so that every program parses them in the same way. */
import { AddressError, type AddressRules, isHost, parseAddress } from '../runtime/address.ts';
import { proxyVariables } from '../runtime/proxy.ts';
import type { Config } from './schema.ts';

export const CAMERA_ADDRESSES: Record<'rtsp' | 'http', AddressRules> = {
  rtsp: { schemes: ['rtsp', 'rtsps'] },
  http: { schemes: ['http', 'https'] },
};

const BROKER: AddressRules = { schemes: ['mqtt', 'mqtts'], login: 'no', path: false };
const WEBSOCKET: AddressRules = { schemes: ['ws', 'wss'], login: 'no' };

const PROXY: AddressRules = { schemes: ['http'], path: false };

/** URLs in the arguments of a GStreamer pipeline; other schemes, such as file:// and srt://, have rules of their own. */
const IN_PIPELINE = /(?:rtsp[sthu]*|https?|rtmps?):\/\/[^\s"']*/gi;

/** Reports what is wrong with the setting at a path. */
export type Report = (path: PropertyKey[], message: string) => void;

/** Checks the URLs and host names that the configuration itself contains. */
export function checkAddresses(report: Report, { cameras, mqtt }: Config): void {
  const check = (path: PropertyKey[], address: string, rules: AddressRules) => {
    try {
      parseAddress(address, rules);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      report(path, `${error.message}. ${error.hint}`);
    }
  };
  for (const [name, { source }] of Object.entries(cameras)) {
    const at = ['cameras', name, 'source'];
    if ((source.kind === 'rtsp' || source.kind === 'http') && source.url !== undefined) {
      check([...at, 'url'], source.url, CAMERA_ADDRESSES[source.kind]);
    }
    if (source.kind === 'http' && source.proxy !== undefined) check([...at, 'proxy'], source.proxy, PROXY);
    if (source.kind !== 'gstreamer') continue;
    for (const [i, word] of (source.pipeline ?? []).entries()) {
      for (const [address] of word.matchAll(IN_PIPELINE)) {
        const scheme = address.slice(0, address.indexOf(':')).toLowerCase();
        check([...at, 'pipeline', i], address, { schemes: [scheme], login: 'first' });
      }
    }
  }
  if (mqtt.url !== 'embedded') check(['mqtt', 'url'], mqtt.url, brokerRules(mqtt.url));
  if (!isHost(mqtt.embedded_host)) {
    report(
      ['mqtt', 'embedded_host'],
      'expected an IP address without brackets and zone, or a host name, found something else',
    );
  }
}

/** Warns that proxies of the environment are ignored, if the user could expect Lookout to use them. */
export function ignoredProxies(env: NodeJS.ProcessEnv, { cameras, mqtt }: Config): string[] {
  const names = proxyVariables(env);
  const concerned =
    /^wss?:/.test(mqtt.url) ||
    Object.values(cameras).some(
      ({ source }) => (source.kind === 'http' && source.proxy === undefined) || source.kind === 'gstreamer',
    );
  if (names.length === 0 || !concerned) return [];
  const are = names.length === 1 ? 'is' : 'are';
  return [
    `environment: ${names.join(', ')} ${are} ignored: Lookout connects to cameras and the broker directly. For an http camera, use the setting \`proxy\``,
  ];
}

function brokerRules(url: string): AddressRules {
  return url.startsWith('ws') ? WEBSOCKET : BROKER;
}
