// A server that answers as the dashboard of a Ray cluster does: its Jobs API with token, browser check, log tail, and jobs that a test scripts.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAll } from 'vitest'

/** A job, and what a test lets it do. */
export interface Job {
  id: string
  entrypoint: string
  /** The request as it was sent. */
  body: Record<string, unknown>
  status: 'PENDING' | 'RUNNING' | 'STOPPED' | 'SUCCEEDED' | 'FAILED'
  message: string | null
  exit: number | null
  log: string
}

/** How a job goes: called once it is submitted, and again each time its log is asked for. */
export type Play = (job: Job, server: RayServer) => void

/** How a server fails: with status 500, with an answer that is lost, by a wrong handshake, or by a reset after the end of a log. */
export type Fault = '500' | 'lost' | 'handshake' | 'reset'

const text = (payload: Buffer): Buffer => {
  const head =
    payload.length < 126
      ? Buffer.from([0x81, payload.length])
      : Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([head, payload])
}

/** The server. */
export class RayServer {
  readonly jobs = new Map<string, Job>()
  /** Requests, like `POST api/jobs/`, with their headers. */
  readonly requests: { line: string; headers: IncomingMessage['headers'] }[] = []
  /** The token that requests must have; null for an open cluster. */
  token: string | null = null
  /** How jobs go. */
  play: Play = () => {}
  /** Is called where a job is to stop. */
  stopped: Play = (job) => void (job.status = 'STOPPED')
  /** Is asked about each request, like `requests` has it: whether the server fails at it. */
  fault: (line: string) => Fault | undefined = () => undefined
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** A server on a port of its own, which is closed after the tests of the file. */
  static async start(): Promise<RayServer> {
    const server = createServer()
    const ray = new RayServer(server)
    server.on('request', (request, response) => void ray.#answer(request, response))
    server.on('upgrade', (request, socket) => ray.#tail(request, socket))
    server.on('connection', (socket) => {
      ray.#sockets.add(socket)
      socket.on('close', () => ray.#sockets.delete(socket))
      socket.on('error', () => {})
    })
    await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done))
    afterAll(() => ray.close())
    return ray
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  /** The only job. */
  get job(): Job {
    const [job] = this.jobs.values()
    if (job === undefined) throw new Error('there is no job')
    return job
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Drops every connection. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.#server.close()
    this.drop()
  }

  /** The status that refuses a request; null for one that is let in. */
  #refusal({ method = '', headers }: IncomingMessage): [number, string] | null {
    if (method !== 'GET' && ('sec-fetch-mode' in headers || (headers['user-agent'] ?? '').startsWith('Mozilla')))
      return [405, `'${method}' method not allowed for browser traffic.`]
    if (this.token === null) return null
    if (headers.authorization === undefined) return [401, 'Unauthorized: Missing authentication token']
    return headers.authorization === `Bearer ${this.token}` ? null : [403, 'Forbidden: Invalid authentication token']
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const line = `${method} ${url.slice(1)}`
    this.requests.push({ line, headers })
    const fault = this.fault(line)
    const send = (status: number, body: unknown) => {
      if (fault === 'lost') return void request.socket.destroy()
      response.writeHead(status)
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    }
    const refusal = this.#refusal(request)
    if (refusal !== null) return send(...refusal)
    if (fault === '500') return send(500, 'Traceback (most recent call last):\nRuntimeError: the head is starting')
    if (url === '/api/version') return send(200, { version: '4', ray_version: '2.60.0', ray_commit: 'c' })
    if (method === 'POST' && url === '/api/jobs/') {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>
      const { submission_id: id, entrypoint } = body as { submission_id: string; entrypoint: string }
      if (this.jobs.has(id))
        return send(500, `Traceback (most recent call last):\nValueError: Job with submission_id ${id} already exists.`)
      const job: Job = { id, entrypoint, body, status: 'PENDING', message: null, exit: null, log: '' }
      this.jobs.set(id, job)
      this.play(job, this)
      return send(200, { submission_id: id, job_id: id })
    }
    const [, id = '', action] = /^\/api\/jobs\/([\w-]+)(?:\/(\w+))?$/.exec(url) ?? []
    const job = this.jobs.get(id)
    if (job === undefined) return send(404, `Job ${id} does not exist`)
    if (action === 'stop') {
      this.stopped(job, this)
      return send(200, { stopped: true })
    }
    if (action === 'logs') return send(200, { logs: job.log })
    const { status, message, exit } = job
    return send(200, { submission_id: id, status, message, driver_exit_code: exit, entrypoint: job.entrypoint })
  }

  #tail(request: IncomingMessage, socket: Duplex): void {
    const line = `TAIL ${(request.url ?? '').slice(1)}`
    this.requests.push({ line, headers: request.headers })
    const fault = this.fault(line)
    const [, id = ''] = /^\/api\/jobs\/([\w-]+)\/logs\/tail$/.exec(request.url ?? '') ?? []
    const job = this.jobs.get(id)
    const [status, body] = this.#refusal(request) ?? (job === undefined ? [404, `Job ${id} does not exist`] : [101, ''])
    if (job === undefined || status !== 101)
      return void socket.end(
        `HTTP/1.1 ${status} No\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    const accept = fault === 'handshake' ? 'wrong' : createHash('sha1').update(key).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    let sent = 0
    const timer = setInterval(() => {
      const bytes = Buffer.from(job.log)
      // In pieces that cut lines, and characters, anywhere a message may not; a ping in between.
      if (sent < bytes.length) {
        const piece = bytes
          .subarray(sent, Math.min(bytes.length, sent + 40_000))
          .toString('utf8')
          .replace(/\uFFFD+$/, '')
        socket.write(text(Buffer.from(piece)))
        sent += Buffer.byteLength(piece)
        socket.write(Buffer.from([0x89, 1, 65]))
        return
      }
      if (job.status === 'PENDING' || job.status === 'RUNNING') return
      clearInterval(timer)
      socket.write(Buffer.from([0x88, 2, 0x03, 0xe8]), () => {
        if (fault === 'reset') (socket as Socket).resetAndDestroy()
      })
    }, 2)
    socket.on('close', () => clearInterval(timer))
    socket.on('error', () => clearInterval(timer))
    socket.on('end', () => void socket.end())
    socket.resume()
    this.play(job, this)
  }
}
