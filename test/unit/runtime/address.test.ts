import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressError, isHost, parseAddress, publicAddress } from '../../../src/runtime/address.ts';

const camera = { schemes: ['rtsp', 'rtsps'] };
const broker = { schemes: ['mqtt', 'mqtts'], login: 'no', path: false } as const;

test('addresses that every program reads alike are taken', () => {
  for (const [text, host, password] of [
    ['rtsp://cam.lan/1', 'cam.lan', ''],
    ['rtsp://joe:p%40ss@cam.lan:554/x?a=1', 'cam.lan:554', 'p%40ss'],
    ['rtsp://joe:p@s:s@cam/x', 'cam', 'p%40s%3As'],
    ['rtsp://joe:päss@cam/x', 'cam', 'p%C3%A4ss'],
    ['rtsp://joe:%FC@cam/x', 'cam', '%FC'],
    ['rtsp://[fd00::1]:8554/x', '[fd00::1]:8554', ''],
    ['rtsp://käm.lan/x', 'xn--km-via.lan', ''],
    ['rtsp://my_cam.local.:65535/', 'my_cam.local.:65535', ''],
    ['RTSPS://192.168.1.20', '192.168.1.20', ''],
  ] as const) {
    const address = parseAddress(text, camera);
    assert.equal(address.host, host);
    assert.equal(address.password, password);
  }
});

test('an address that is not sound is refused with what is wrong and how to write it, and is not repeated', () => {
  for (const [text, what, hint] of [
    ['rtsp://joe:geheim/7@cam/1', /an @ behind the \//, /%2F/],
    ['rtsp://joe:geheim#7@cam/1', /an @ behind the #/, /%23/],
    ['rtsp://joe:geheim?7@cam/1', /an @ behind the \?/, /%3F/],
    ['rtsp://cam/mail=geheim@x', /an @ behind the \//, /%40/],
    ['rtsp://joe:geheim\\7@cam/1', /a backslash/, /%5C/],
    ['rtsp://joe:geheim 7@cam/1', /a space/, /%20/],
    ['rtsp://joe:geheim\t7@cam/1', /a tab/, /%09/],
    ['rtsp://joe:geheim\u00a07@cam/1', /a non-breaking space/, /%C2%A0/],
    ['rtsp://joe:geheim\u200b@cam/1', /the invisible character U\+200B/, /%E2%80%8B/],
    ['rtsp://joe:geheim\u0007@cam/1', /the control character U\+0007/, /%07/],
    ['rtsp://joe:geheim%7@cam/1', /two hexadecimal digits behind each %/, /%25/],
    ['rtsp://joe:geheim%0Ax@cam/1', /a control character/, /%25/],
    [`rtsp://joe:geheim${'x'.repeat(128)}@cam/1`, /at most 127 characters/, /shorter/],
    ['rtsp://cam/1#geheim', /a #/, /%23/],
    ['rtsp://', /a host, found none/, /rtsp:\/\//],
    ['rtsp://joe:geheim@/1', /a host, found none/, /rtsp:\/\//],
    ['rtsp://fd00::1/x', /more than one colon/, /brackets, such as rtsp:\/\/\[::1\]/],
    ['rtsp://[fe80::1%25eth0]/x', /without a zone/, /name of the host/],
    ['rtsp://[fe80::1%eth0]/x', /without a zone/, /name of the host/],
    ['rtsp://[geheim]/x', /an IPv6 address in the brackets/, /\[fd00::1\]/],
    ['rtsp://cam:0/x', /a port from 1 to 65535/, /@/],
    ['rtsp://cam:99999/x', /a port from 1 to 65535/, /@/],
    ['rtsp://joe:geheim/x', /a port from 1 to 65535/, /@/],
    ['rtsp://192.168.1.300/x', /IP address/, /0 to 255/],
    ['rtsp://192.168.01.30/x', /IP address/, /zeros/],
    ['rtsp://0x7f.1/x', /IP address/, /letters/],
    ['rtsp://ca%6D/x', /name of a host/, /letters/],
    ['rtsp://ca,m/x', /name of a host/, /letters/],
    ['geheim', /starts with rtsp:\/\/ or rtsps:\/\//, /host/],
    ['rtp://geheim/x', /starts with rtsp:\/\/ or rtsps:\/\//, /host/],
    ['', /found nothing/, /host/],
  ] as const) {
    assert.throws(
      () => parseAddress(text, camera),
      (error: unknown) => {
        assert.ok(error instanceof AddressError, text);
        assert.match(error.message, what, text);
        assert.match(error.hint, hint, text);
        assert.doesNotMatch(`${error.message} ${error.hint}`, /geheim|joe|cam\//, text);
        return true;
      },
    );
  }
});

test('an address of a broker has no user and no path', () => {
  assert.equal(parseAddress('mqtt://[::1]:1883', broker).host, '[::1]:1883');
  assert.equal(parseAddress('mqtts://broker/', broker).host, 'broker');
  for (const [text, what] of [
    ['mqtt://u:p@broker', /without user and password/],
    ['mqtt://u:p#1@broker', /without user and password/],
    ['mqtt://broker/topic', /nothing behind host and port/],
    ['mqtt://::1:1883', /more than one colon/],
    ['mqtt:// broker', /a space/],
  ] as const) {
    assert.throws(() => parseAddress(text, broker), what);
  }
});

test('for GStreamer a second @ is refused: it ends the password at the first', () => {
  assert.throws(
    () => parseAddress('rtsp://joe:p@ss@cam/1', { ...camera, login: 'first' }),
    /a second @: GStreamer/,
  );
  assert.equal(parseAddress('rtsp://joe:p%40ss@cam/1', { ...camera, login: 'first' }).hostname, 'cam');
});

test('a host is a name or an IP address without brackets and zone', () => {
  for (const host of ['127.0.0.1', '::', '::1', 'localhost', 'my-host.lan']) assert.ok(isHost(host), host);
  for (const host of ['', '[::1]', 'fe80::1%eth0', 'a b', 'a:1', '300.1.1.1', 'a/b'])
    assert.ok(!isHost(host), host);
});

test('people see scheme, host and port of an address', () => {
  for (const [text, shown] of [
    ['http://joe:pw@cam:81/live?user=joe&pwd=x', 'http://cam:81/…'],
    ['rtsp://cam/user=admin_password=tlJw_channel=1.sdp', 'rtsp://cam/…'],
    ['rtsps://nvr:7441/AbCdEf0123456789', 'rtsps://nvr:7441/…'],
    ['http://cam/?AbCd', 'http://cam/…'],
    ['rtsp://cam', 'rtsp://cam'],
    ['ws://[::1]:9001/', 'ws://[::1]:9001/'],
  ] as const) {
    assert.equal(publicAddress(new URL(text)), shown);
  }
});
