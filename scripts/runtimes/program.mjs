// Touches every public function of the installed package, in any runtime: `RUNTIME program.mjs FIXTURES`. Each check
// is one line of JSON on standard output; scripts/runtimes.mjs makes the table of them.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

const fixtures = process.argv[2]
const directory = mkdtempSync(join(tmpdir(), 'longweave-runtime-'))
const at = (name) => join(directory, name)
const must = (held, what) => {
  if (!held) throw new Error(`not so: ${what}`)
}
const all = async (items) => {
  const list = []
  for await (const item of items) list.push(item)
  return list
}
const rejects = async (promise, is, what) => {
  try {
    await promise
  } catch (error) {
    return must(is(error), `${what}, but ${error}`)
  }
  throw new Error(`not so: ${what}`)
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

const vocab = { '<|endoftext|>': 0, '<pad>': 1, '<unk>': 2 }
for (let i = 0; i < 100; i += 1) vocab[`w${i}`] = i + 3
const special = (content) => ({
  id: vocab[content],
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
})
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  normalizer: null,
  post_processor: null,
  decoder: null,
  added_tokens: ['<|endoftext|>', '<pad>', '<unk>'].map(special),
  pre_tokenizer: { type: 'WhitespaceSplit' },
  model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
}
writeFileSync(at('words.json'), JSON.stringify(tokenizer))
const documents = Array.from({ length: 200 }, (_, i) => ({
  id: `doc-${i}`,
  text: Array.from({ length: 20 + (i % 30) }, (__, j) => `w${(i * 7 + j * 13) % 100}`).join(' '),
  queries: [['steam engine', 'mountain river', 'wooden bridge'][i % 3]],
}))
writeFileSync(at('corpus.jsonl'), documents.map((document) => `${JSON.stringify(document)}\n`).join(''))
const options = (name, more = {}) => ({
  corpus: at('corpus.jsonl'),
  idField: 'id',
  queryField: 'queries',
  queries: { predictor: 'precomputed' },
  tokenizer: at('words.json'),
  length: 64,
  threads: 2,
  output: { directory: at(name), format: 'parquet' },
  ...more,
})
async function* endless(then = () => {}) {
  for (let i = 0; ; i += 1) {
    if (i === 5) then()
    yield { text: 'w1 w2 '.repeat(50_000) }
  }
}

const longweave = await import('longweave')
const { weave, plan, prepare, openRun, dryRun, status, clean, report } = longweave
const { openOutput, readSequences, verify, readDocuments } = longweave
const { Rake, QueryPredictor, Embedder, LongweaveError } = longweave
const isMissing = (error) => error instanceof LongweaveError && error.code === 'INPUT_NOT_FOUND'
const inMemory = (more) => weave(options('', { output: { format: 'memory' }, ...more }))

const checks = {
  '`require` and `import` give the same classes': () => {
    must(createRequire(import.meta.url)('longweave').weave === weave, 'one module')
  },
  '`weave` to files, with events': async () => {
    const run = weave(options('woven'))
    const events = await all(run)
    const { plan: made } = await run.finished
    must(made.sequences > 10 && events.some(({ type, stage }) => type === 'stage' && stage === 'seal'), 'sealed')
  },
  '`weave` in memory, batches and sequences': async () => {
    const run = inMemory()
    const summary = await run.finished
    let sequences = 0
    for await (const batch of run.batches()) {
      must(batch.inputIds instanceof Uint32Array && batch.inputIds.length === 64 * batch.length, 'ids end to end')
      sequences += batch.length
    }
    must(sequences === summary.plan.sequences, 'as many as planned')
    for await (const { inputIds, pieces } of inMemory().sequences())
      must(inputIds.length === 64 && pieces[0].docId.startsWith('doc-'), 'a sequence')
  },
  'documents of an async iterable': async () => {
    const corpus = (async function* () {
      for (const { id, text, queries } of documents) {
        await turn()
        yield { id, text, queries }
      }
    })()
    const { corpus: read } = await inMemory({ corpus }).finished
    must(read.documents === documents.length, 'all read')
  },
  '`plan`, `get`, `topKeywords`': async () => {
    const made = await plan(options('planned'))
    must(made.length === made.summary.plan.sequences, 'length')
    must((await made.get(0)).index === 0 && (await made.topKeywords({ limit: 2 })).length === 2, 'what it will be')
    await made.close()
  },
  '`prepare`, `openRun`, `tasks`, `runTasks`': async () => {
    await prepare(options('prepared'))
    const run = await openRun(at('prepared'))
    for (const { stage } of await run.tasks()) await run.runTasks({ stage, tasks: 'all' })
    must((await verify(at('prepared'))).sequences > 10, 'sealed')
  },
  '`dryRun`, `status`': async () => {
    must((await dryRun(options('dry'))).stages.length > 5, 'stages')
    must((await status(at('woven'))).state === 'finished', 'finished')
  },
  '`openOutput`: `get`, iteration, `batches`, `show`, `verify`': async () => {
    const output = await openOutput(at('woven'))
    const { pieces } = await output.get(3)
    must(output.length > 10 && pieces.length > 0, 'pieces')
    must((await all(output)).length === output.length, 'all of them')
    for await (const batch of output.batches({ start: 2, batchSize: 3 })) must(batch.length <= 3, 'a batch')
    must((await output.show(0)).pieces.length > 0 && (await output.verify()).sequences === output.length, 'shown')
    await output.close()
  },
  '`readSequences`, `verify`': async () => {
    must((await all(readSequences(at('woven')))).length === (await verify(at('woven'))).sequences, 'read')
  },
  '`report`': async () => {
    await report([at('woven')], { out: at('report.html') })
  },
  '`clean`': async () => {
    must((await clean(at('woven/.work'), { all: true, dryRun: true })).directories.length > 0, 'found')
  },
  '`readDocuments`': async () => {
    must((await all(readDocuments({ corpus: at('corpus.jsonl') }))).length === documents.length, 'read')
  },
  '`Rake`': async () => {
    must(new Rake().extract('deep learning for the garden')[0].phrase === 'deep learning', 'a phrase')
    writeFileSync(at('stop.txt'), 'for\nthe\n')
    const batch = (await Rake.open({ stopWordsFile: at('stop.txt') })).extractBatch(['deep learning', 'old garden'])
    must(batch.length === 2 && batch.get(1)[0].phrase === 'old garden', 'a batch')
  },
  '`QueryPredictor`, extractive': async () => {
    const predictor = await QueryPredictor.open()
    must((await all(predictor.predict(['The steam engine of the old mountain railway.']))).length === 1, 'predicted')
    await predictor.close()
  },
  '`QueryPredictor`, ONNX model': async () => {
    const model = join(fixtures, 'models/t5-v1_1/longweave')
    const predictor = await QueryPredictor.open({ predictor: 'onnx', model, device: 'cpu', maxQueryTokens: 8 })
    must((await all(predictor.predict(['a plan', 'another']))).length === 2, 'predicted')
    await predictor.close()
  },
  '`Embedder`': async () => {
    const embedder = await Embedder.open({ model: join(fixtures, 'models/bert'), device: 'cpu' })
    must((await all(embedder.embed(['a plan'])))[0].length === embedder.dimensions, 'a vector')
    await embedder.close()
  },
  'errors have their code': async () => {
    const corpus = at('none.jsonl')
    await rejects(weave(options('none', { corpus })).finished, isMissing, 'INPUT_NOT_FOUND')
    await rejects(all(inMemory({ corpus }).batches()), isMissing, 'INPUT_NOT_FOUND')
  },
  'a signal cancels, with its reason': async () => {
    const reason = new Error('the user went home')
    const controller = new AbortController()
    const corpus = endless(() => controller.abort(reason))
    const run = weave(options('aborted', { corpus, queryField: null, queries: {} }), { signal: controller.signal })
    await rejects(run.finished, (error) => error === reason, 'the reason')
    await rejects(verify(at('woven'), { signal: AbortSignal.abort(reason) }), (e) => e === reason, 'the reason')
  },
  'leaving a loop cancels the run': async () => {
    const run = weave(options('left'))
    for await (const _ of run) break
    await rejects(run.finished, ({ code }) => code === 'CANCELLED', 'CANCELLED')
  },
  'a worker thread weaves': async () => {
    mkdirSync(at('worker'), { recursive: true })
    const program = `import { parentPort } from 'node:worker_threads'
      import { weave } from 'longweave'
      const { plan } = await weave(${JSON.stringify(options('worker/out'))}).finished
      parentPort.postMessage(plan.sequences)`
    writeFileSync(join(process.cwd(), 'worker.mjs'), program)
    const worker = new Worker(join(process.cwd(), 'worker.mjs'))
    const sequences = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    must(sequences > 10, 'woven')
    await worker.terminate()
  },
  'a worker thread is terminated in the middle of a run': async () => {
    const program = `import { parentPort } from 'node:worker_threads'
      import { weave } from 'longweave'
      const documents = async function* () {
        for (let i = 0; ; i += 1) {
          if (i === 5) parentPort.postMessage('pending')
          yield { text: 'w1 w2 '.repeat(50_000) }
        }
      }
      await weave({ ...${JSON.stringify(options('terminated', { queryField: null, queries: {} }))}, corpus: documents() }).finished`
    writeFileSync(join(process.cwd(), 'pending.mjs'), program)
    const worker = new Worker(join(process.cwd(), 'pending.mjs'))
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()
  },
}

const { bun, deno, node } = process.versions
console.log(JSON.stringify({ runtime: bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}` }))
for (const [check, work] of Object.entries(checks)) {
  // A runtime that crashes leaves the name of the check in which it did.
  console.log(JSON.stringify({ check }))
  const error = await Promise.resolve()
    .then(work)
    .then(
      () => null,
      (e) => String(e?.message ?? e),
    )
  console.log(JSON.stringify({ check, ok: error === null, error }))
}
