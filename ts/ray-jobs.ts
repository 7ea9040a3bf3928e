// The Jobs API of Ray (docs.ray.io: Ray Jobs REST API) over node:http. `fetch` marks its requests as a browser's, which Ray refuses with 405.
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { LongweaveError } from './errors.ts'
import type { Token } from './ray-token.ts'
import { handshake, isAccepted, messages } from './web-socket.ts'

/** A job as Ray describes it. */
export interface JobInfo {
  status: 'PENDING' | 'RUNNING' | 'STOPPED' | 'SUCCEEDED' | 'FAILED'
  message: string | null
  driver_exit_code?: number | null
}

/** A job to submit. */
export interface Submission {
  entrypoint: string
  submission_id: string
}

/** Whether a job has ended. */
export const hasEnded = ({ status }: JobInfo) => status !== 'PENDING' && status !== 'RUNNING'

interface Answer {
  status: number
  text: string
  location: string | undefined
}

/** Milliseconds without a byte after which a request has failed. */
const TIMEOUT = 30_000
/** Bytes of an answer that are read: logs may be long. */
const MOST = 64 * 2 ** 20

/** An answer that is an error. */
class Status extends Error {
  readonly status: number

  constructor(status: number) {
    super(`status ${status}`)
    this.status = status
  }
}

/** Whether a request may succeed later: nothing answered, or the server failed, as while a head starts. */
export const isTransient = (error: unknown): boolean =>
  error instanceof LongweaveError &&
  (error.code === 'ENGINE_UNREACHABLE' || (error.cause instanceof Status && error.cause.status >= 500))

const isLoopback = ({ hostname }: URL) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)

const refused = (reason: string) =>
  new LongweaveError('OPTIONS_INVALID', `\`engine.url\` ${reason}`, { option: 'engine.url' })

/**
 * The address of a cluster's dashboard: the one given, else RAY_API_SERVER_ADDRESS, RAY_ADDRESS where it is a URL, else this machine's.
 * @throws LongweaveError `OPTIONS_INVALID`
 */
export function dashboard(given: string | null, insecure: boolean, environment = process.env): URL {
  const ofRay = environment['RAY_ADDRESS'] ?? ''
  const text =
    given ||
    environment['RAY_API_SERVER_ADDRESS'] ||
    (/^https?:/.test(ofRay) ? ofRay : undefined) ||
    'http://127.0.0.1:8265'
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw refused(`must be the URL of a Ray dashboard, like http://127.0.0.1:8265, but is ${JSON.stringify(text)}`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw refused('must not hold a password; set RAY_AUTH_TOKEN to the token of the cluster')
  if (url.protocol === 'http:' && !isLoopback(url) && !insecure)
    throw refused(
      `sends programs and the token to ${url.host} unencrypted; use https, a tunnel (ssh -L 8265:127.0.0.1:8265 ${url.hostname}), or set \`engine.insecure\``,
    )
  url.pathname = url.pathname.replace(/\/*$/, '/')
  url.search = ''
  url.hash = ''
  return url
}

/** A cluster's jobs. Errors are `ENGINE_UNREACHABLE`, `ENGINE_DENIED` and `ENGINE_FAILED`. */
export class RayJobs {
  /** The address of the dashboard. */
  readonly url: URL
  readonly #token: Token | null

  constructor(url: URL, token: Token | null) {
    this.url = url
    this.#token = token
  }

  /** The version of Ray. A cluster that answers without a token is open to all. */
  async version(): Promise<string> {
    const { ray_version: version } = (await this.#json('GET', 'api/version')) as { ray_version?: unknown }
    if (typeof version !== 'string') throw this.#failed('is not the dashboard of a Ray cluster')
    return version
  }

  /** Submits a job. A second submission with the same id changes nothing. */
  async submit(submission: Submission): Promise<void> {
    const answer = await this.#send('POST', 'api/jobs/', submission)
    // The answer to the same submission was lost: Ray has no status of its own for an id that exists.
    if (answer.status >= 400 && answer.text.includes('already exists')) return
    this.#checked(answer)
  }

  /** A job; null where the cluster does not know it. */
  async info(id: string): Promise<JobInfo | null> {
    const answer = await this.#send('GET', `api/jobs/${id}`)
    return answer.status === 404 ? null : (this.#parsed(answer) as JobInfo)
  }

  /** Asks a job to stop. */
  async stop(id: string): Promise<void> {
    const answer = await this.#send('POST', `api/jobs/${id}/stop`)
    if (answer.status !== 404) this.#checked(answer)
  }

  /** The whole log of a job. */
  async log(id: string): Promise<string> {
    const answer = await this.#send('GET', `api/jobs/${id}/logs`)
    return answer.status === 404 ? '' : ((this.#parsed(answer) as { logs?: string }).logs ?? '')
  }

  /** The log of a job from its beginning, as it grows, until the job ends or `signal` aborts. */
  async *tail(id: string, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const { headers, accept } = handshake()
    const request = this.#request('GET', `api/jobs/${id}/logs/tail`, headers)
    const opened = await new Promise<Parameters<typeof messages> | Answer>((resolve, reject) => {
      request.on('upgrade', (response, socket, head) => {
        socket.setTimeout(0)
        // Node leaves the socket without a listener: an error after the last message would end the process.
        socket.on('error', () => {})
        if (isAccepted(response, accept)) return resolve([socket, head])
        socket.destroy()
        reject(new Error('the answer to a WebSocket handshake is wrong'))
      })
      request.on('response', (response) => void read(response).then(resolve, reject))
      request.on('error', reject)
      request.end()
    }).catch((error: Error) => {
      throw this.#unreachable(error)
    })
    if (!Array.isArray(opened)) {
      this.#checked(opened)
      throw this.#failed('does not show the log of a job')
    }
    const [socket, head] = opened
    const abort = () => void socket.destroy()
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    try {
      yield* messages(socket, head)
    } catch (error) {
      if (!signal.aborted) throw this.#unreachable(error as Error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #request(method: string, path: string, headers: RequestOptions['headers'] & object, body = ''): ClientRequest {
    const url = new URL(path, this.url)
    const whole = {
      ...headers,
      ...(body !== '' && { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(body)) }),
      ...(this.#token !== null && { Authorization: `Bearer ${this.#token.value}` }),
    }
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const request = send(url, { method, headers: whole, agent: false, timeout: TIMEOUT })
    request.on('timeout', () => request.destroy(new Error(`no answer for ${TIMEOUT / 1000} seconds`)))
    return request
  }

  async #send(method: string, path: string, body?: object): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body)
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const request = this.#request(method, path, {}, text)
        request.on('response', (response) => void read(response).then(resolve, reject))
        request.on('error', reject)
        request.end(text)
      })
    } catch (error) {
      throw this.#unreachable(error as Error)
    }
  }

  async #json(method: string, path: string): Promise<unknown> {
    return this.#parsed(await this.#send(method, path))
  }

  #parsed(answer: Answer): unknown {
    this.#checked(answer)
    try {
      return JSON.parse(answer.text) as unknown
    } catch {
      throw this.#failed('is not the dashboard of a Ray cluster')
    }
  }

  #checked({ status, text, location }: Answer): void {
    if (status < 300) return
    if (status === 401 || status === 403) throw this.#denied()
    if (status < 400 && location !== undefined)
      throw this.#failed(`sends on to ${location}; give that address as \`engine.url\``)
    if ([502, 503, 504].includes(status)) throw this.#unreachable(new Status(status))
    if (status === 404) throw this.#failed('is not the dashboard of a Ray cluster, or has no Jobs API')
    const lines = text.trim().split('\n')
    // Ray answers with the traceback of what failed, whose last line says what.
    const reason = (lines[0]?.startsWith('Traceback') === true ? lines.at(-1) : lines[0])?.slice(0, 500)
    throw this.#failed(`refused a request with status ${status}: ${reason ?? ''}`, new Status(status))
  }

  get #details() {
    return { url: this.url.href }
  }

  #denied(): LongweaveError {
    const message =
      this.#token === null
        ? `the Ray cluster at ${this.url.href} requires a token; set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file`
        : `the Ray cluster at ${this.url.href} refused the token of ${this.#token.from}; \`ray get-auth-token\` on its head prints the right one`
    return new LongweaveError('ENGINE_DENIED', message, this.#details)
  }

  #failed(reason: string, cause?: Error): LongweaveError {
    return new LongweaveError('ENGINE_FAILED', `${this.url.href} ${reason}`, this.#details, cause && { cause })
  }

  #unreachable(cause: Error & { code?: string }): LongweaveError {
    if (cause instanceof LongweaveError) return cause
    // Where a name has several addresses, each failed, and the message is empty.
    const reason = cause.message || cause.code || 'no address answers'
    const message = `no Ray dashboard answers at ${this.url.href} (${reason}); start the cluster, or set \`engine.url\` to its address`
    return new LongweaveError('ENGINE_UNREACHABLE', message, this.#details, { cause })
  }
}

async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    chunks.push(chunk as Buffer)
    length += (chunk as Buffer).length
    if (length > MOST) throw new Error(`the answer has more than ${MOST} bytes`)
  }
  return {
    status: response.statusCode ?? 0,
    text: Buffer.concat(chunks).toString('utf8'),
    location: response.headers.location,
  }
}
