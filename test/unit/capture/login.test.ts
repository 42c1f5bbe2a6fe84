import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorization, chooseChallenge, loginOf } from '../../../src/capture/login.ts';

const login = (address: string) => loginOf(new URL(address))!;
const get = { method: 'GET', uri: '/dir/index.html', count: 1 };

test('a login is taken from the address as the bytes that it means', () => {
  assert.equal(loginOf(new URL('http://cam/')), null);
  const { user, password } = login('http://j%20e:%FC@cam/');
  assert.equal(user.toString(), 'j e');
  assert.deepEqual([...password], [0xfc]);
});

test('Basic is user and password in base64', () => {
  const challenge = chooseChallenge(['Basic realm="a, b"']);
  assert.deepEqual(challenge, { scheme: 'basic' });
  assert.equal(
    authorization(challenge!, login('http://Aladdin:open%20sesame@cam/'), get),
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  );
});

test('Digest answers the examples of RFC 7616', () => {
  const nonce = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
  const fields = `realm="http-auth@example.org", qop="auth, auth-int", nonce="${nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;
  const mufasa = login('http://Mufasa:Circle%20of%20Life@cam/');
  const cnonce = 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
  for (const [algorithm, response] of [
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const) {
    const challenge = chooseChallenge([`Digest ${fields}, algorithm=${algorithm}`]);
    const header = authorization(challenge!, mufasa, get, cnonce);
    assert.ok(header.includes(`response="${response}"`), header);
    assert.match(header, /^Digest username="Mufasa", realm="http-auth@example\.org", /);
    assert.match(header, /qop=auth, nc=00000001, cnonce="f2/);
  }
});

test('Digest without qop is that of RFC 2069, as old cameras ask for it', () => {
  const challenge = chooseChallenge([
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"',
  ]);
  const header = authorization(challenge!, login('http://Mufasa:CircleOfLife@cam/'), get);
  assert.match(header, /response="1949323746fe6a43ef61f9606e7febea"$/);
});

test('the strongest supported challenge is chosen, from one header or several', () => {
  const md5 = 'Digest realm="a", nonce="b", algorithm=MD5';
  const sha = 'Digest realm="a", nonce="b", algorithm=SHA-256-sess, qop="auth"';
  for (const headers of [['Basic realm="x"', md5, sha], [`Basic realm="x", ${md5}, ${sha}`]]) {
    const challenge = chooseChallenge(headers);
    assert.equal(challenge?.scheme, 'digest');
    assert.deepEqual([challenge.hash, challenge.session], ['sha256', true]);
  }
  assert.equal(chooseChallenge(['Basic', 'Digest nonce="b", algorithm=TIGER'])?.scheme, 'basic');
  assert.equal(chooseChallenge(['Digest nonce="b", qop="auth-int"']), null);
  assert.equal(chooseChallenge(['Negotiate']), null);
  assert.equal(chooseChallenge([]), null);
});
