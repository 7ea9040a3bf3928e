// Runs that begin, end, stop and are left in all the ways that programs have.
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { LongweaveError, status, weave } from '../ts/index.ts'
import type { RunOptions } from '../ts/index.ts'
import {
  all,
  failure,
  finished,
  folder,
  full,
  node,
  plain,
  randomCorpus,
  readColumns,
  root,
  wordTokenizer,
  writeJsonl,
} from './support.ts'

const directory = folder()
const out = (name: string) => join(directory, name)
const tokenizer = wordTokenizer(directory)
const small = writeJsonl(out('small.jsonl'), randomCorpus(6, 50, 30))
const large = writeJsonl(out('large.jsonl'), randomCorpus(7, 30_000, 60))
const base = { ...plain, corpus: small, tokenizer, length: 32 } as const
const slow = (name: string): RunOptions => ({ ...base, corpus: large, output: { directory: out(name) } })
const threads = () => readdirSync('/proc/self/task').length
const handles = () => readdirSync('/proc/self/fd').length
const memory = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
const linux = process.platform === 'linux'
const library = JSON.stringify(join(root, 'dist/index.js'))

/** Temporary directories of this process' runs. */
const temporary = () => readdirSync(tmpdir()).filter((name) => name.startsWith(`longweave-${process.pid}-`))

/** Begins `n` runs, some of them further than others, and cancels each. */
async function cancelRuns(n: number): Promise<void> {
  for (let i = 0; i < n; i += 1) {
    const format = (['memory', 'parquet', 'mds'] as const)[i % 3] ?? 'memory'
    const run = weave({ ...base, corpus: large, threads: 2, output: { directory: out(`cancelled-${format}`), format } })
    if (i % 4 === 0) await run[Symbol.asyncIterator]().next()
    run.cancel()
    await run[Symbol.asyncDispose]()
    expect((await failure(() => run.finished)).code).toBe('CANCELLED')
  }
}

/** A source of documents that says how far it was read. */
function endless(characters: number) {
  const source = {
    read: 0,
    returned: false,
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          source.read += 1
          yield { text: 'w1 '.repeat(characters / 3) }
        }
      } finally {
        source.returned = true
      }
    },
  }
  return source
}

test('leaving the loop over events cancels the run and waits until it has ended', async () => {
  const run = weave(slow('left'))
  for await (const event of run) if (event.type === 'stage' && event.stage === 'ingest') break
  expect((await failure(() => run.finished)).code).toBe('CANCELLED')
  // Nobody holds the directory any more.
  await finished(slow('left'))
})

test('a signal that has aborted starts nothing; one that aborts on the way cancels, and its reason is thrown', async () => {
  const reason = new Error('the user went home')
  const never = weave(slow('never'), { signal: AbortSignal.abort(reason) })
  await expect(never.finished).rejects.toBe(reason)
  await expect(all(never)).rejects.toBe(reason)
  expect(readdirSync(directory)).not.toContain('never')
  const controller = new AbortController()
  const run = weave(slow('aborted'), { signal: controller.signal })
  const iterated = (async () => {
    for await (const event of run) if (event.type === 'stage' && event.stage === 'ingest') controller.abort(reason)
  })()
  await expect(iterated).rejects.toBe(reason)
  await expect(run.finished).rejects.toBe(reason)
})

test('an error of the run ends the reading of its documents', async () => {
  const source = endless(1 << 20)
  const run = weave({ ...base, corpus: source, output: { directory: join(small, 'below-a-file') } })
  expect((await failure(() => run.finished)).code).toBe('IO')
  await expect.poll(() => source.returned).toBe(true)
  expect(source.read).toBeLessThan(5)
})

test('what is wrong beside the documents is told before they are read, and a directory of something else is left as it is', async () => {
  mkdirSync(out('taken'))
  writeJsonl(out('taken/taken.jsonl'), [{}])
  for (const [code, wrong] of [
    ['INPUT_NOT_FOUND', { tokenizer: out('none.json') }],
    ['OUTPUT_EXISTS', { output: { directory: out('taken') } }],
  ] as const) {
    const source = endless(1 << 20)
    const run = weave({ ...base, corpus: source, output: { directory: out('early') }, ...wrong })
    expect((await failure(() => run.finished)).code).toBe(code)
    await expect.poll(() => source.returned).toBe(true)
    expect(source.read).toBeLessThan(5)
  }
  expect(readdirSync(out('taken'))).toEqual(['taken.jsonl'])
})

test('a fast producer is held until its documents are on disk', async () => {
  // The spool's first file waits to be made: no document is on disk, however often the program could read another.
  const program = `import { existsSync, writeFileSync } from 'node:fs'
    import { weave } from ${library}
    let [read, returned] = [0, false]
    const corpus = (async function* () {
      try {
        for (;;) yield { text: 'w1 '.repeat(700_000), id: String((read += 1)) }
      } finally {
        returned = true
      }
    })()
    const run = weave({ ...${JSON.stringify({ ...base, queryField: null, queries: {}, output: { directory: out('fast') } })}, corpus })
    const turn = () => new Promise(setImmediate)
    while (!existsSync(process.env.LONGWEAVE_FAILPOINT_LOG)) await turn()
    for (let i = 0; i < 10_000; i += 1) await turn()
    const held = read
    writeFileSync(process.env.LONGWEAVE_FAILPOINT_GATE, '')
    while (read < 50) await turn()
    const disposed = run[Symbol.asyncDispose]()
    while (!returned) await turn()
    await disposed
    console.log(held, returned)`
  const env = {
    LONGWEAVE_FAILPOINT: 'create=wait',
    LONGWEAVE_FAILPOINT_GATE: out('gate'),
    LONGWEAVE_FAILPOINT_LOG: out('creates'),
  }
  expect(await node(['--input-type=module', '-e', program], { env }).ended).toMatchObject({ err: '', out: '1 true\n' })
  expect(readFileSync(out('creates'), 'utf8').split('\n')[0]).toMatch(/^create\t.*spool/)
})

test('documents that were read are not kept: a stream of any length takes the memory of a batch', async () => {
  // Three times what the heap holds.
  const program = `import { QueryPredictor, weave } from ${library}
    async function* documents() {
      for (let i = 0; i < 150; i += 1) yield { id: String(i), text: 'w1 w2' + ' '.repeat(2 ** 20) }
    }
    const options = ${JSON.stringify({ ...base, method: 'standard', queryField: null, queries: {}, output: { format: 'memory' } })}
    const { corpus } = await weave({ ...options, corpus: documents() }).finished
    const predictor = await QueryPredictor.open({ threads: 2 })
    let predicted = 0
    for await (const _ of predictor.predict(documents(), { batchSize: 4 })) predicted += 1
    console.log(corpus.documents, predicted)`
  const { ended } = node(['--max-old-space-size=48', '--input-type=module', '-e', program])
  expect(await ended).toMatchObject({ err: '', out: '150 150\n' })
})

test('a slow reader of batches holds the run: no batch is made before it is asked for', async () => {
  // Whatever a batch is made of is read from the work directory, and each read leaves a line in the log.
  const options = {
    ...base,
    corpus: large,
    length: 4096,
    tokens: 2 ** 23,
    work: out('asked'),
    output: { format: 'memory' },
  }
  const program = `import { readFileSync } from 'node:fs'
    import { weave } from ${library}
    const reads = () => readFileSync(process.env.LONGWEAVE_FAILPOINT_LOG, 'utf8').split('\\n').filter((line) => line.includes('/asked/')).length
    const batches = weave(${JSON.stringify(options)}).batches()
    let [made, counts] = [0, []]
    for await (const _ of batches) {
      made += 1
      const before = reads()
      // A reader that is busy for a whole other run.
      await weave(${JSON.stringify({ ...base, output: { directory: out('busy') } })}).finished
      counts.push([before, reads()])
    }
    console.log(JSON.stringify(counts))`
  const env = { LONGWEAVE_FAILPOINT_LOG: out('reads') }
  const { out: text, err } = await node(['--input-type=module', '-e', program], { env }).ended
  expect(err).toBe('')
  const counts = JSON.parse(text) as [number, number][]
  expect(counts.length).toBeGreaterThan(4)
  for (const [i, [before, after]] of counts.entries()) {
    expect(after, `batch ${i}`).toBe(before)
    expect(before, `batch ${i}`).toBeGreaterThan(counts[i - 1]?.[1] ?? 0)
  }
})

test('leaving the loop over sequences closes the run and removes its temporary directory', async () => {
  const run = weave({ ...base, output: { format: 'memory' } })
  for await (const { index } of run.sequences()) {
    expect(temporary().length).toBe(1)
    if (index === 3) break
  }
  expect((await run.finished).plan?.sequences).toBeGreaterThan(4)
  expect((await failure(() => all(run.sequences()))).code).toBe('HANDLE_CLOSED')
  expect(temporary()).toEqual([])
})

test.runIf(linux)(`cancelled runs leave no thread, no open file and no memory behind`, async () => {
  const round = full ? 200 : 50
  await cancelRuns(round)
  const before = { threads: threads(), handles: handles() }
  // A leak of every run would make every round's memory larger than that of the round before.
  const rounds: number[] = []
  for (let i = 0; i < 5; i += 1) {
    await cancelRuns(round)
    rounds.push(memory())
  }
  // Threads of a pool that was given up end a moment later.
  await expect.poll(threads).toBeLessThanOrEqual(before.threads)
  expect(handles()).toBeLessThanOrEqual(before.handles)
  const grew = rounds.slice(1).filter((after, i) => after > (rounds[i] ?? 0) + 1)
  expect(grew.length, rounds.map((mib) => mib.toFixed(1)).join()).toBeLessThan(4)
})

test('a process that exits with a run going on ends it, and the run can be resumed', async () => {
  const options = { ...slow('exited'), threads: 1, splitBytes: 100_000 }
  const program = `import { weave } from ${library}
    const run = weave(${JSON.stringify(options)})
    for await (const event of run) if (event.stage === 'ingest') process.exit(3)`
  expect(await node(['--input-type=module', '-e', program]).ended).toMatchObject({ status: 3, out: '', err: '' })
  const { stages } = await status(out('exited'))
  expect(stages.find(({ state }) => state !== 'done')?.stage, 'what was left undone').toBe('ingest')
  const { summary } = await finished(options)
  expect(summary.corpus?.documents).toBe(30_000)
})

test('a worker that is terminated takes its run along, and the process lives on', async () => {
  const program = `const { parentPort } = require('node:worker_threads')
    import(${library}).then(async ({ weave }) => {
      const run = weave(${JSON.stringify(slow('worker'))})
      for await (const event of run) if (event.stage === 'ingest') parentPort.postMessage('going')
    })`
  for (let i = 0; i < (full ? 20 : 4); i += 1) {
    const worker = new Worker(program, { eval: true })
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
  }
  const { summary } = await finished(slow('worker'))
  expect(summary.corpus?.documents).toBe(30_000)
})

test('the addon works in the main thread and in workers at once', async () => {
  const program = (name: string) => `const { parentPort } = require('node:worker_threads')
    import(${library}).then(async ({ weave, Rake }) => {
      const run = weave(${JSON.stringify({ ...base, output: { directory: out(name) } })})
      const { plan } = await run.finished
      parentPort.postMessage([plan.sequences, new Rake().extract('deep learning').length])
    })`
  const workers = [1, 2, 3].map((i) => new Worker(program(`worker-${i}`), { eval: true }))
  const told = workers.map(
    (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
  )
  const { summary } = await finished({ ...base, output: { directory: out('main') } })
  expect(await Promise.all(told)).toEqual([1, 2, 3].map(() => [summary.plan?.sequences, 1]))
})

test('several runs in one process at once do not mind each other', async () => {
  const made = await Promise.all(
    [0, 1, 2, 3].map((seed) =>
      finished({ ...base, seed, work: out('together'), output: { directory: out(`together-${seed}`) } }),
    ),
  )
  expect(new Set(made.map(({ summary }) => summary.plan?.poolDocuments)).size).toBe(1)
  for (const seed of [0, 1, 2, 3])
    expect((await readColumns(out(`together-${seed}`))).length).toBe(made[seed]?.summary.plan?.sequences)
})

test('CommonJS programs require the package, ES modules import it, and both get the same classes', async () => {
  const program = `const longweave = require('longweave')
    import('longweave').then((imported) => console.log(typeof longweave.weave, imported.weave === longweave.weave, new longweave.Rake().extract('deep learning')[0].phrase))`
  const { status: code, out: text, err } = await node(['-e', program], { cwd: root }).ended
  expect([code, text]).toEqual([0, 'function true deep learning\n'])
  expect(err.replaceAll(/.*ExperimentalWarning.*\n|.*--trace-warnings.*\n/g, '')).toBe('')
})

test('what is thrown is an Error with its code as a property, whatever the way it came', async () => {
  const error = await failure(() => weave({ ...base, corpus: out('none'), output: { format: 'memory' } }).finished)
  expect(error).toBeInstanceOf(LongweaveError)
  expect(error).toBeInstanceOf(Error)
  expect([error.name, error.code, typeof error.stack]).toEqual(['LongweaveError', 'INPUT_NOT_FOUND', 'string'])
})
