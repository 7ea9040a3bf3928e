// A reader of WebSocket text messages (RFC 6455) over node:http: the global WebSocket sends no headers, and Node 20 has none.
import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, RequestOptions } from 'node:http'
import type { Duplex } from 'node:stream'

/** Bytes of the longest message that is read. */
const MOST = 16 * 2 ** 20
const SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** The headers that ask for a WebSocket, and the answer that they must have. */
export function handshake(): { headers: RequestOptions['headers'] & object; accept: string } {
  const key = randomBytes(16).toString('base64')
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
  }
  return { headers, accept: createHash('sha1').update(`${key}${SALT}`).digest('base64') }
}

/** Whether a response to `handshake` is a WebSocket. */
export const isAccepted = (response: IncomingMessage, accept: string) =>
  response.headers['sec-websocket-accept'] === accept

interface Frame {
  last: boolean
  opcode: number
  payload: Buffer
  /** Bytes with the header. */
  size: number
}

/** The frame that `bytes` begin with; null while it is incomplete. */
function frame(bytes: Buffer): Frame | null {
  if (bytes.length < 2) return null
  const [first = 0, second = 0] = bytes
  if ((second & 0x80) !== 0) throw new Error('a WebSocket frame of the server is masked')
  const short = second & 0x7f
  const head = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < head) return null
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
  if (length > MOST) throw new Error(`a WebSocket frame of ${length} bytes is too long`)
  if (bytes.length < head + length) return null
  const payload = bytes.subarray(head, head + length)
  return { last: (first & 0x80) !== 0, opcode: first & 0x0f, payload, size: head + length }
}

/** A frame of a client: at most 125 bytes, masked. */
function masked(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4)
  const hidden = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, hidden])
}

/** The text messages of a connection, until either side closes it. */
export async function* messages(socket: Duplex, head: Buffer): AsyncGenerator<string, void, undefined> {
  let rest: Buffer = head
  let parts: Buffer[] = []
  let length = 0
  let closed = false
  const take = function* () {
    for (let next = frame(rest); next !== null; next = frame(rest)) {
      rest = rest.subarray(next.size)
      const { opcode, payload, last } = next
      if (opcode === 8) {
        closed = true
        socket.end(masked(8, payload.subarray(0, 2)), () => void socket.destroy())
        return
      }
      if (opcode === 9) socket.write(masked(10, payload.subarray(0, 125)))
      if (opcode > 2) continue
      parts.push(payload)
      length += payload.length
      if (length > MOST) throw new Error('a WebSocket message is too long')
      if (!last) continue
      yield Buffer.concat(parts).toString('utf8')
      parts = []
      length = 0
    }
  }
  try {
    yield* take()
    if (closed) return
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      rest = Buffer.concat([rest, chunk as Buffer])
      yield* take()
      if (closed) return
    }
  } finally {
    if (!closed) socket.destroy()
  }
}
