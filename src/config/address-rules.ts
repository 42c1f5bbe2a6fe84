/** Which addresses each setting takes, and whether they are written so that every program reads the same in them. */
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

/** Addresses in the words of a GStreamer pipeline; others, such as file:// and srt://, have rules of their own. */
const IN_PIPELINE = /(?:rtsp[sthu]*|https?|rtmps?):\/\/[^\s"']*/gi;

type Say = (path: PropertyKey[], message: string) => void;

/** Says what is wrong with the addresses that stand in the configuration itself. */
export function checkAddresses(say: Say, { cameras, mqtt }: Config): void {
  const check = (path: PropertyKey[], address: string, rules: AddressRules) => {
    try {
      parseAddress(address, rules);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      say(path, `${error.message}. ${error.hint}`);
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
    say(
      ['mqtt', 'embedded_host'],
      'expected an IP address without brackets and zone, or the name of a host, found something else',
    );
  }
}

/** Says that proxies of the environment are ignored, where somebody could expect them to be used. */
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
    `environment: ${names.join(', ')} ${are} ignored: cameras and the broker are reached directly (an http camera has the setting \`proxy\`)`,
  ];
}

function brokerRules(url: string): AddressRules {
  return url.startsWith('ws') ? WEBSOCKET : BROKER;
}
