import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface FakeRtspServer {
  port: number;
  /** First lines of the requests, in order. */
  requests: string[];
  /** How often a wrong password was sent. */
  readonly refused: number;
  close(): Promise<void>;
}

/**
 * A camera over RTSP as far as a player needs one (RFC 2326): basic authentication, one MJPEG track, interleaved in
 * the TCP connection. ffmpeg makes the frames, 10 a second.
 * @param shift of the time of each packet, by its number, in ticks of 90 kHz
 * @param answers to methods in place of the usual ones, such as `{ DESCRIBE: '404 Not Found' }`
 */
export async function startRtspServer(
  user: string,
  password: string,
  answers: Record<string, string> = {},
  shift: (packet: number) => number = () => 0,
): Promise<FakeRtspServer> {
  const allowed = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const requests: string[] = [];
  const refused = { count: 0 };
  const players = new Set<Socket>();
  const open = new Set<Socket>();

  const rtp = createSocket('udp4');
  rtp.bind(0, '127.0.0.1');
  await once(rtp, 'listening');
  let packets = 0;
  rtp.on('message', (packet) => {
    packet.writeUInt32BE((packet.readUInt32BE(4) + shift(packets++)) >>> 0, 4);
    const header = Buffer.from([0x24, 0, packet.length >> 8, packet.length & 0xff]);
    for (const player of players) player.write(Buffer.concat([header, packet]));
  });
  const encoder = startEncoder((rtp.address() as AddressInfo).port);

  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => players.delete(socket));
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        answer(socket, withoutReports(text.slice(0, end)));
        text = text.slice(end + 4);
      }
    });
  });

  function answer(socket: Socket, request: string): void {
    const [first = '', ...lines] = request.split('\r\n');
    requests.push(first);
    const headers = new Map(
      lines.map((line) => [line.split(':')[0]?.toLowerCase(), line.replace(/^.*?: */, '')]),
    );
    const [method] = first.split(' ');
    const reply = (status: string, extra: string[] = [], body = '') => {
      const head = [`RTSP/1.0 ${status}`, `CSeq: ${headers.get('cseq')}`, 'Session: 1', ...extra];
      socket.write(`${[...head, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`);
    };
    const instead = answers[method ?? ''];
    const given = headers.get('authorization');
    if (given !== undefined && given !== allowed && method === 'DESCRIBE') refused.count++;
    if (method === 'OPTIONS') reply('200 OK', ['Public: DESCRIBE, SETUP, PLAY, TEARDOWN']);
    else if (given !== allowed) {
      reply('401 Unauthorized', ['WWW-Authenticate: Basic realm="camera"']);
    } else if (instead !== undefined) reply(instead);
    else if (method === 'DESCRIBE') reply('200 OK', ['Content-Type: application/sdp'], SDP);
    else if (method === 'SETUP') {
      const tcp = headers.get('transport')?.includes('TCP');
      if (tcp) reply('200 OK', ['Transport: RTP/AVP/TCP;unicast;interleaved=0-1']);
      else reply('461 Unsupported transport');
    } else {
      reply('200 OK');
      if (method === 'PLAY') players.add(socket);
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    get refused() {
      return refused.count;
    },
    async close() {
      encoder.kill('SIGKILL');
      rtp.close();
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The player's receiver reports come between its requests, in binary. */
function withoutReports(text: string): string {
  return text.slice(Math.max(0, text.search(/[A-Z_]+ rtsp:/)));
}

/** RTP payload type 26 is JPEG (RFC 2435). */
const SDP = [
  'v=0',
  'o=- 0 0 IN IP4 127.0.0.1',
  's=camera',
  't=0 0',
  'm=video 0 RTP/AVP 26',
  'a=control:track0',
  '',
].join('\r\n');

function startEncoder(port: number): ChildProcess {
  const args =
    '-nostdin -loglevel error -re -f lavfi -i testsrc=size=320x240:rate=10 -pix_fmt yuvj420p -c:v mjpeg -q:v 5 ' +
    `-huffman default -force_duplicated_matrix 1 -f rtp rtp://127.0.0.1:${port}`;
  return spawn('ffmpeg', args.split(' '), { stdio: 'ignore' });
}
