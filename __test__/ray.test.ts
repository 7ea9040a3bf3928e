// Runs on a Ray cluster as a program and a person meet them, against a server that behaves as Ray's Jobs API does. scripts/ray/run.py has the real one.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { LongweaveError, plan, submit, version, weave } from '../ts/index.ts'
import type { EngineOptions, RunEvent, RunOptions, Summary } from '../ts/index.ts'
import { dashboard } from '../ts/ray-jobs.ts'
import { RayRun } from '../ts/ray.ts'
import { findToken } from '../ts/ray-token.ts'
import { resolve } from '../ts/run.ts'
import type { ResolvedEngine } from '../ts/schema.ts'
import { RayServer } from './ray-server.ts'
import type { Fault, Job } from './ray-server.ts'
import { argv, cli, failure, folder, parsed, plain, randomCorpus, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const corpus = writeJsonl(join(directory, 'corpus.jsonl'), randomCorpus(3, 80, 40))
const server = await RayServer.start()
const SECRET = 'secret-of-the-cluster'
let number = 0
let out = ''

/** Options of a run in a new directory. */
function options(
  engine: Partial<EngineOptions> = {},
  more: Partial<RunOptions> = {},
): RunOptions & { engine: EngineOptions } {
  return {
    ...plain,
    corpus,
    tokenizer,
    length: 64,
    output: { directory: out },
    ...more,
    engine: { name: 'ray', url: server.url, ...engine },
  } as never
}

const line = (value: object) => `${JSON.stringify(value)}\n`
const stage = (name: string, state: string): RunEvent =>
  ({ type: 'stage', stage: name, state, number: 1, stages: 2, seconds: 1 }) as unknown as RunEvent
const local = weave({
  ...plain,
  corpus,
  tokenizer,
  method: 'standard',
  length: 64,
  output: { directory: join(directory, 'local') },
})
const made = await local.finished
/** Longer than a chunk of the log. */
const summary = () => ({ ...made, directory: out, note: 'ü'.repeat(50_000) }) as Summary
/** A job that ends well. */
const ends = (job: Job) => {
  if (job.status !== 'PENDING') return
  job.status = 'SUCCEEDED'
  job.exit = 0
  job.log = `2026-01-01 INFO Ray says something\n${line({ type: 'event', event: stage('scan', 'started') })}{"type":"other"}\nnull\n`
  job.log += line({ type: 'event', event: stage('scan', 'done') }) + line({ type: 'end', summary: summary() })
}
const fails = (error: { code: string; message: string; details: object }) => (job: Job) => {
  job.status = 'FAILED'
  job.exit = 1
  job.message = 'Job entrypoint command failed with exit code 1'
  job.log = line({ type: 'end', error })
}

/** A job whose driver is killed in its first stage. */
const killed = (job: Job) => {
  job.log = line({ type: 'event', event: stage('scan', 'started') })
  job.status = 'FAILED'
  job.exit = -9
  job.message = 'Job entrypoint command failed with exit code -9'
}
const failed = (promise: Promise<unknown>) => failure(() => promise)

beforeEach(() => {
  number += 1
  out = join(directory, `out-${number}`)
  process.env['RAY_AUTH_TOKEN'] = SECRET
  server.token = SECRET
  server.jobs.clear()
  server.requests.length = 0
  server.play = ends
  server.fault = () => undefined
  server.stopped = (job) => void (job.status = 'STOPPED')
})
afterEach(() => {
  vi.useRealTimers()
  for (const name of ['RAY_AUTH_TOKEN', 'RAY_AUTH_TOKEN_PATH', 'RAY_ADDRESS', 'RAY_API_SERVER_ADDRESS'])
    delete process.env[name]
})

async function eventsOf(run: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of run) events.push(event)
  return events
}
const warnings = (events: RunEvent[]) => events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))

test('a run is a job: its log brings the events and the summary, its config is a file in the output directory', async () => {
  const run = weave(options({}, { memory: '1GiB', work: 'work dir', threads: undefined }))
  const events = await eventsOf(run)
  expect(events).toEqual([stage('scan', 'started'), stage('scan', 'done')])
  expect(await run.finished).toEqual(summary())
  const config = join(out, '.state', 'ray-config.json')
  expect(server.job.entrypoint).toBe(`'python' -m longweave.ray --json --expect ${version} --config '${config}'`)
  const written = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>
  // Of nodes, threads and memory follow from the node, unless they are given.
  expect(written).toMatchObject({
    corpus: [corpus],
    length: 64,
    memory: 2 ** 30,
    work: join(process.cwd(), 'work dir'),
  })
  expect(written).not.toHaveProperty('threads')
  expect(written).not.toHaveProperty('engine')
})

test('the token is sent as Bearer with every request, and stored nowhere', async () => {
  await weave(options()).finished
  expect(server.requests.map(({ line: text }) => text.replace(server.job.id, 'ID'))).toEqual(
    expect.arrayContaining(['GET api/version', 'POST api/jobs/', 'TAIL api/jobs/ID/logs/tail', 'GET api/jobs/ID']),
  )
  for (const { headers } of server.requests) expect(headers.authorization).toBe(`Bearer ${SECRET}`)
  expect(JSON.stringify(server.job.body)).not.toContain(SECRET)
  for (const name of readdirSync(join(out, '.state')))
    expect(readFileSync(join(out, '.state', name), 'utf8')).not.toContain(SECRET)
})

test('a token comes from the variable, from the file that is named, or from the home directory', () => {
  mkdirSync(join(directory, 'home', '.ray'), { recursive: true })
  writeFileSync(join(directory, 'home', '.ray', 'auth_token'), 'of-home\n')
  writeFileSync(join(directory, 'named'), ' of-file\n')
  const [named, home] = [join(directory, 'named'), join(directory, 'home')]
  expect(findToken({ RAY_AUTH_TOKEN: 'own', RAY_AUTH_TOKEN_PATH: named }, home)).toEqual({
    value: 'own',
    from: 'RAY_AUTH_TOKEN',
  })
  expect(findToken({ RAY_AUTH_TOKEN_PATH: named }, home)).toEqual({ value: 'of-file', from: named })
  expect(findToken({}, home)).toMatchObject({ value: 'of-home' })
  expect(findToken({}, directory)).toBeNull()
  expect(() => findToken({ RAY_AUTH_TOKEN_PATH: join(directory, 'none') }, home)).toThrow(/cannot be read/)
  expect(() => findToken({ RAY_AUTH_TOKEN: 'a\nb' }, home)).toThrow(/characters that a header cannot hold/)
})

test('a missing and a wrong token are different errors, and neither shows the token', async () => {
  process.env['RAY_AUTH_TOKEN'] = 'another-secret'
  const wrong = await failed(weave(options()).finished)
  expect(wrong).toMatchObject({ code: 'ENGINE_DENIED', details: { url: server.url } })
  expect(wrong.message).toMatch(/refused the token of RAY_AUTH_TOKEN/)
  expect(wrong.message).not.toContain('another-secret')
  process.env['RAY_AUTH_TOKEN'] = ''
  process.env['RAY_AUTH_TOKEN_PATH'] = writeFile('empty', '')
  const missing = await failed(weave(options()).finished)
  expect(missing).toMatchObject({ code: 'ENGINE_DENIED' })
  expect(missing.message).toMatch(/requires a token; set RAY_AUTH_TOKEN/)
})

function writeFile(name: string, content: string): string {
  writeFileSync(join(directory, name), content)
  return join(directory, name)
}

test('a cluster that is open to all is warned of', async () => {
  server.token = null
  process.env['RAY_AUTH_TOKEN'] = ''
  process.env['RAY_AUTH_TOKEN_PATH'] = writeFile('empty', '')
  expect(warnings(await eventsOf(weave(options())))).toEqual([
    expect.stringMatching(/needs no token: all who reach it/),
  ])
})

test('a cluster that is not there, and a server that is not one, are said', async () => {
  const unused = createServer().listen(0, '127.0.0.1')
  await new Promise((done) => unused.once('listening', done))
  const { port } = unused.address() as AddressInfo
  await new Promise((done) => unused.close(done))
  const gone = await failed(weave(options({ url: `http://127.0.0.1:${port}` })).finished)
  expect(gone).toMatchObject({ code: 'ENGINE_UNREACHABLE' })
  expect(gone.message).toMatch(/no Ray dashboard answers at .*ECONNREFUSED.*start the cluster/)
  const other = await failed(weave(options({ url: `${server.url}elsewhere` })).finished)
  expect(other).toMatchObject({ code: 'ENGINE_FAILED' })
  expect(other.message).toMatch(/is not the dashboard of a Ray cluster/)
})

test('addresses: the one given, those of the environment, this machine; unencrypted to others only on request', () => {
  expect(dashboard('https://head:1/ray', false, {}).href).toBe('https://head:1/ray/')
  expect(dashboard(null, false, { RAY_API_SERVER_ADDRESS: 'https://a', RAY_ADDRESS: 'https://b' }).href).toBe(
    'https://a/',
  )
  expect(dashboard(null, false, { RAY_ADDRESS: 'https://b' }).href).toBe('https://b/')
  expect(dashboard(null, false, { RAY_ADDRESS: 'head:6379' }).href).toBe('http://127.0.0.1:8265/')
  expect(dashboard('http://[::1]:8265', false, {}).href).toBe('http://[::1]:8265/')
  expect(() => dashboard('http://head:8265', false, {})).toThrow(/unencrypted; use https, a tunnel/)
  expect(dashboard('http://head:8265', true, {}).href).toBe('http://head:8265/')
  expect(() => dashboard('https://user:word@head', false, {})).toThrow(/must not hold a password/)
  expect(() => dashboard('ray://head:10001', false, {})).toThrow(/must be the URL of a Ray dashboard/)
})

test("an error of the run is the job's error, with its code and details", async () => {
  server.play = fails({ code: 'BAD_ROW', message: 'corpus.jsonl:2 is bad', details: { line: 2 } })
  const error = await failed(weave(options()).finished)
  expect(error).toMatchObject({ code: 'BAD_ROW', message: 'corpus.jsonl:2 is bad', details: { line: 2 } })
  expect(server.jobs.size).toBe(1)
})

test('another version of longweave on the cluster is an error', async () => {
  server.play = fails({ code: 'VERSION_MISMATCH', message: 'the cluster has longweave 9.9.9', details: {} })
  expect(await failed(weave(options()).finished)).toMatchObject({ code: 'VERSION_MISMATCH' })
})

test.each([
  ['/bin/python: No module named longweave', /has no longweave: install `longweave\[ray\]==/],
  ['/bin/sh: 1: python: not found', /`engine.python` names/],
  ["longweave.ray: No module named 'numpy'", /did not start .*; its log on the dashboard/],
  ['Segmentation fault', /did not start \(Segmentation fault\)/],
])('a job that cannot start is not submitted again: %s', async (text, message) => {
  server.play = (job) => {
    job.status = 'FAILED'
    job.exit = 1
    job.log = `${text}\n`
    job.message = `Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\n${text}\n`
  }
  const error = await failed(weave(options()).finished)
  expect(error).toMatchObject({ code: 'ENGINE_FAILED' })
  expect(error.message).toMatch(message)
  expect(server.jobs.size).toBe(1)
})

test('a job whose driver is killed is submitted again, as often as `restarts` says', async () => {
  server.play = (job) => (server.jobs.size === 1 ? killed(job) : ends(job))
  const run = weave(options())
  const events = await eventsOf(run)
  expect(warnings(events)).toEqual([
    expect.stringMatching(/was lost \(Job entrypoint .* -9\); submitting it again, 1 of 3/),
  ])
  expect(await run.finished).toEqual(summary())
  server.jobs.clear()
  server.play = killed
  const error = await failed(weave(options({ restarts: 1 })).finished)
  expect(error).toMatchObject({ code: 'ENGINE_FAILED' })
  expect(error.message).toMatch(/not submitted again after 1 restarts; the same call resumes/)
  expect(server.jobs.size).toBe(2)
})

test('a head that comes back without its jobs gets the job again', async () => {
  server.play = (job) => {
    if (server.jobs.size > 1) return ends(job)
    job.status = 'RUNNING'
    job.log = line({ type: 'event', event: stage('scan', 'started') })
  }
  const run = weave(options())
  let forgot = false
  const events: RunEvent[] = []
  for await (const event of run) {
    events.push(event)
    if (forgot) continue
    forgot = true
    const [id = ''] = server.jobs.keys()
    server.jobs.delete(id)
    server.jobs.set('gone', { ...server.jobs.get(id), id: 'gone' } as Job)
    server.drop()
  }
  expect(warnings(events)).toEqual([expect.stringMatching(/the cluster does not know it any more/)])
  expect(await run.finished).toEqual(summary())
})

test('a connection that breaks is opened again, and each event comes once', async () => {
  let tails = 0
  server.play = (job) => {
    if (job.log === '') {
      job.status = 'RUNNING'
      job.log = line({ type: 'event', event: stage('scan', 'started') })
      return
    }
    tails += 1
    if (tails === 2) {
      job.status = 'PENDING'
      const { log } = job
      ends(job)
      job.log = log + job.log.split('\n').slice(4).join('\n')
    }
  }
  const run = weave(options())
  const events: RunEvent[] = []
  for await (const event of run) {
    events.push(event)
    if (events.length === 1) server.drop()
  }
  expect(events).toEqual([stage('scan', 'started'), stage('scan', 'done')])
  expect(tails).toBe(2)
})

/** A fault at the first requests that begin like this, one after the other. */
const faults = (begin: string, ...left: Fault[]) => {
  server.fault = (text) => (text.startsWith(begin) ? left.shift() : undefined)
  return left
}
const requested = (begin: string) => server.requests.filter(({ line: text }) => text.startsWith(begin)).length
const turn = () => new Promise((next) => setImmediate(next))

test('a submission that a head which starts refuses, or whose answer is lost, is made again with its id', async () => {
  faults('POST api/jobs/', '500', 'lost')
  const run = weave(options())
  expect(warnings(await eventsOf(run))).toEqual([expect.stringMatching(/made again: .*the head is starting/)])
  expect(await run.finished).toEqual(summary())
  expect([server.jobs.size, requested('POST api/jobs/')]).toEqual([1, 3])
})

test('a run that is cancelled before its submission is made leaves no job', async () => {
  server.fault = (text) => (text === 'POST api/jobs/' ? '500' : undefined)
  const run = weave(options())
  for await (const event of run) if (event.type === 'warning') break
  expect(await failed(run.finished)).toMatchObject({ code: 'CANCELLED' })
  expect([server.jobs.size, requested('POST api/jobs/longweave-')]).toEqual([0, 1])
})

test('errors of the server while a job is followed end nothing', async () => {
  const left = faults('GET api/jobs/longweave-', '500', '500')
  expect(await weave(options()).finished).toEqual(summary())
  expect(left).toEqual([])
})

test('a connection that breaks after a long silence is opened again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  server.play = (job) => {
    if (requested('TAIL ') < 2) job.status = 'RUNNING'
    else ends(Object.assign(job, { status: 'PENDING' }))
  }
  const run = weave(options())
  const state = { ended: false }
  const end = run.finished.finally(() => (state.ended = true))
  end.catch(() => {})
  while (requested('TAIL ') < 1) await turn()
  // Longer than a cluster may be unreachable.
  for (let looks = 1; looks <= 60; looks++) {
    while (requested('GET api/jobs/longweave-') < looks) {
      vi.advanceTimersByTime(looks === 1 ? 1_000 : 10_000)
      for (let turns = 0; turns < 50; turns++) await turn()
    }
  }
  faults('GET api/jobs/longweave-', '500', '500')
  server.drop()
  while (!state.ended && requested('TAIL ') < 2) await turn()
  while (!state.ended) {
    vi.advanceTimersByTime(2)
    await turn()
  }
  expect(await end).toEqual(summary())
})

test('a connection that is reset after its last message does not end the process', async () => {
  faults('TAIL ', 'reset')
  expect(await weave(options()).finished).toEqual(summary())
})

test('a connection that is no WebSocket is closed, and opened again', async () => {
  faults('TAIL ', 'handshake')
  expect(await weave(options()).finished).toEqual(summary())
  await expect.poll(() => server.connections, { timeout: 10_000 }).toBe(0)
})

test('all who wait for an event are woken', async () => {
  const given = options()
  const { engine, resolved } = resolve(given)
  const run = new RayRun(engine as ResolvedEngine, resolved, {})
  const events = await Promise.all([run.nextEvent(), run.nextEvent(), run.nextEvent()])
  expect(events.map((event) => event === null)).toEqual([false, false, true])
})

test('cancelling stops the job; one that the cluster stopped is cancelled too', async () => {
  server.play = (job) => {
    job.status = 'RUNNING'
    job.log = line({ type: 'event', event: stage('scan', 'started') })
  }
  const run = weave(options())
  for await (const event of run) if (event.type === 'stage') break
  expect(server.job.status).toBe('STOPPED')
  expect(await failed(run.finished)).toMatchObject({ code: 'CANCELLED' })
  const controller = new AbortController()
  const other = weave(options(), { signal: controller.signal })
  for await (const event of other) {
    expect(event.type).toBe('stage')
    controller.abort(new Error('enough'))
    break
  }
  await expect(other.finished).rejects.toThrow('enough')
  server.jobs.clear()
  server.play = (job) => void (job.status = 'STOPPED')
  const error = await failed(weave(options()).finished)
  expect(error).toMatchObject({ code: 'CANCELLED' })
  expect(error.message).toMatch(/was stopped on the cluster/)
})

test('a run that was left to the cluster is followed by the same call, and refused to other options', async () => {
  server.play = (job) => void (job.status = 'RUNNING')
  const sent = await submit(options())
  expect(sent).toEqual({ job: server.job.id, url: server.url, directory: out })
  const other = await failed(weave(options({}, { seed: 7 })).finished)
  expect(other).toMatchObject({ code: 'RUN_LOCKED' })
  expect(other.message).toContain(`ray job stop ${sent.job}`)
  server.play = (job) => {
    job.status = 'PENDING'
    ends(job)
  }
  expect(await weave(options()).finished).toEqual(summary())
  expect(server.jobs.size).toBe(1)
})

test('a corpus of documents, sequences in memory and a plan alone need this process', async () => {
  const engine = { name: 'ray', url: server.url } as const
  const documents = await failed(weave({ ...options(), corpus: [{ text: 'w1' }] }).finished)
  expect(documents.message).toMatch(/`engine` needs a corpus of files/)
  const memory = await failed(weave({ corpus, tokenizer, length: 8, output: { format: 'memory' }, engine }).finished)
  expect(memory.message).toMatch(/cannot be "memory"/)
  expect((await failed(plan(options()))).message).toMatch(/leave it out to plan/)
  expect(server.requests).toEqual([])
})

test('wrong settings of the engine are named by their option', async () => {
  for (const [engine, option] of [
    [{ name: 'slurm' }, 'engine.name'],
    [{ url: '' }, 'engine.url'],
    [{ restarts: -1 }, 'engine.restarts'],
    [{ tokn: 'x' }, 'engine.tokn'],
  ] as const)
    expect(await failed(weave(options(engine as never)).finished)).toMatchObject({
      code: 'OPTIONS_INVALID',
      details: { option },
    })
})

test('the command line runs on Ray, and leaves a run there with --detach', async () => {
  const config = writeFile('run.json', JSON.stringify({ ...plain, corpus, tokenizer, length: 64 }))
  const flags = argv`--config ${config} --out ${out} --engine ray --ray ${server.url}`
  const environment = { RAY_AUTH_TOKEN: SECRET }
  const ran = await cli(argv`run ${flags} --json`, { env: environment })
  expect(ran.status, ran.err).toBe(0)
  expect(parsed(ran.out).map(({ type }) => type)).toEqual(['stage', 'stage', 'summary'])
  server.jobs.clear()
  server.play = (job) => void (job.status = 'RUNNING')
  const sent = await cli(argv`run ${flags} --detach`, { env: environment })
  expect(sent.status, sent.err).toBe(0)
  expect(sent.out).toContain(`submitted   job ${server.job.id}`)
  expect(sent.out).toContain(`longweave status ${out}`)
  const alone = await cli(argv`run --config ${config} --out ${out} --detach`)
  expect(alone).toMatchObject({ status: 2 })
  expect(alone.err).toContain('--detach needs --engine')
})

test('errors of this module are of the one class', () => {
  expect(() => dashboard('x', false, {})).toThrow(LongweaveError)
})
