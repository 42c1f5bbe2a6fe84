import assert from 'node:assert/strict';
import { test } from 'node:test';
import mqttPacket from 'mqtt-packet';
import { PacketRecorder, publishBytes } from '../../../src/publish/packets.ts';
import { Seeded } from '../../support/random.ts';

test('the computed size of a packet is that of the packet that mqtt.js sends', () => {
  for (const version of [4, 5] as const) {
    for (const qos of [0, 1] as const) {
      for (const size of [0, 1, 100, 127, 128, 16_000, 16_384, 2_097_152]) {
        const message = { topic: 'lookout/garden/Käfer/猫', payload: Buffer.alloc(size), qos };
        const packet = { cmd: 'publish', messageId: 7, retain: true, dup: false, ...message } as const;
        const real = mqttPacket.generate(packet, { protocolVersion: version }).length;
        assert.equal(publishBytes(message, version), real, `version ${version}, QoS ${qos}, ${size} bytes`);
      }
    }
  }
});

test('the packet that an error means is found, however the bytes arrive', () => {
  const publish = mqttPacket.generate({
    ...{ cmd: 'publish', topic: 'a', payload: Buffer.alloc(70_000), qos: 0, retain: false, dup: false },
  });
  const stream = Buffer.concat([Buffer.from([0xd0, 0]), publish, Buffer.from([0x40, 4, 1, 2, 0x95, 0])]);
  const random = new Seeded(4);
  for (let round = 0; round < 200; round++) {
    const recorder = new PacketRecorder();
    // The last bytes arrive together, as the codec stops at them.
    for (let at = 0; at < stream.length - 6; ) {
      const next = Math.min(stream.length - 6, at + random.int(1, 40_000));
      recorder.add(stream.subarray(at, next));
      at = next;
    }
    recorder.add(stream.subarray(-6));
    const packet = recorder.find('Invalid puback reason code');
    assert.deepEqual([packet?.name, packet?.messageId, packet?.reasonCode], ['PUBACK', 258, 149]);
  }
});

test('among several packets the one with an error code is found', () => {
  const recorder = new PacketRecorder();
  recorder.add(Uint8Array.from([0x40, 2, 0, 1, 0x40, 3, 0, 2, 0x95, 0x40, 2, 0, 3]));
  assert.equal(recorder.find('Invalid puback reason code')?.messageId, 2);
  assert.equal(new PacketRecorder().find('anything'), null);
});

test('random bytes are recorded without an error', () => {
  const random = new Seeded(9);
  for (let round = 0; round < 2000; round++) {
    const recorder = new PacketRecorder();
    for (let i = random.int(1, 5); i > 0; i--) {
      recorder.add(Uint8Array.from({ length: random.int(0, 60) }, () => random.int(0, 255)));
    }
    const packet = recorder.find('Invalid disconnect reason code');
    if (packet) assert.ok(packet.bytes.length <= 20 && packet.name.length > 0);
  }
});
