// Global names for the programs of settle.test.ts: the API, files that the test made, ways to
// use a call. A program is one expression; `outcome` says in a word how it settled.
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { Worker, parentPort } from 'node:worker_threads'
import * as longweave from '../../dist/index.js'

const { weave, plan, openRun, openOutput, LongweaveError } = longweave
const directory = process.env.SETTLE_DIRECTORY
const at = (name) => join(directory, name)
const fresh = (name = '') => join(mkdtempSync(at('fresh-')), name)
const model = (name) => join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../fixtures/models', name)

const options = () => ({
  corpus: at('corpus.jsonl'),
  idField: 'id',
  tokenizer: at('words.json'),
  length: 32,
  method: 'standard',
  threads: 2,
})
const files = (more = {}) => ({ ...options(), output: { directory: fresh() }, ...more })
const memory = (more = {}) => ({ ...options(), output: { format: 'memory' }, ...more })

const reason = new Error('the user went home')
const mishap = new TypeError('the database is gone')
const named = (error) => {
  if (error === reason) return 'reason'
  if (error === mishap) return 'mishap'
  return error instanceof LongweaveError ? error.code : String(error?.stack ?? error)
}

/** A signal that has aborted. */
const aborted = () => ({ signal: AbortSignal.abort(reason) })
/** A signal that aborts once the call is made, before it can settle. */
const soon = () => {
  const controller = new AbortController()
  process.nextTick(() => controller.abort(reason))
  return { signal: controller.signal }
}
/** A use of a signal and of what aborts it. */
const abortable = (use) => {
  const controller = new AbortController()
  return ended(use({ signal: controller.signal }, () => controller.abort(reason)))
}
/** Tells the thread that waits in `terminated`. */
const pending = () => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
  parentPort?.postMessage('pending')
}

/** Documents without end; calls back when some are read. */
async function* endless(then = () => {}) {
  for (let i = 0; ; i += 1) {
    if (i === 5) then()
    yield { text: 'w1 w2 w3 '.repeat(100_000) }
  }
}
async function* endlessTexts(then = () => {}) {
  for (let i = 0; ; i += 1) {
    if (i === 40) then()
    yield `a plan of the engine, number ${i}`
  }
}
async function* failing() {
  yield { text: 'w1 w2' }
  throw mishap
}
const throwing = () => {
  throw mishap
}
async function* failingTexts() {
  yield 'a plan'
  throw mishap
}

/** Reads to the end or to an error, after which an iterator must have ended. */
const all = async (items) => {
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) if ((await iterator.next()).done) break
  } finally {
    if (!(await iterator.next()).done) console.log('it goes on after its end')
  }
}
/** Does something at each item. */
const each = async (items, work) => {
  for await (const item of items) await work(item)
}
/** Leaves the loop at the first item. */
const first = async (items) => {
  for await (const _ of items) return
  throw new Error('there is no first')
}

/** The promise of `work`; a program that throws before it returns one is at fault. */
const begun = (work) => {
  try {
    return work()
  } catch (error) {
    return `thrown at once: ${named(error)}`
  }
}
/** How promises settle; of functions, what each gives, called when the one before has settled. */
async function ended(work) {
  const ends = []
  for (const settled of await Promise.allSettled(Array.isArray(work) ? work : [work])) {
    const { value, reason: error } = settled
    if (settled.status === 'rejected') ends.push(named(error))
    else if (typeof value === 'function') ends.push(await ended(begun(value)))
    else ends.push(typeof value === 'string' ? value : 'ok')
  }
  return ends.join(', ')
}
const withRun = (use, more, call) => ended(use(weave(files(more), call)))
const withMemoryRun = (use, more, call) => ended(use(weave(memory(more), call)))
const withPlan = async (use) => ended(use(await plan(files())))
const withPrepared = async (use, name = 'prepared') => ended(use(await openRun(at(name))))
const withOutput = async (use, name = 'woven') => ended(use(await openOutput(at(name))))
const withHandle = async (handle, use) => ended(use(await handle))

/** Terminates a worker in the middle of a program that calls `pending`. */
const terminated = async (program) => {
  const source = `import(${JSON.stringify(import.meta.url)}).then(({ outcome }) => outcome(() => (${program})))`
  const worker = new Worker(source, { eval: true })
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  await worker.terminate()
  return 'terminated'
}

Object.assign(globalThis, longweave, {
  at,
  fresh,
  model,
  files,
  memory,
  aborted,
  soon,
  abortable,
  pending,
  endless,
  endlessTexts,
  failing,
  failingTexts,
  throwing,
  all,
  each,
  first,
  withRun,
  withMemoryRun,
  withPlan,
  withPrepared,
  withOutput,
  withHandle,
  terminated,
})

/** How a program settles. */
export const outcome = (program) => ended(begun(program))
