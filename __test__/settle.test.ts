// Every promise and every iterator of the API settles once, with the right error, and its process then ends by itself.
// A row is a program, run in a process of its own: a call in a situation, and how it settles. `reason` is the reason of
// the signal, `mishap` what the corpus threw, `ok` any value. settle/program.mjs has the names that programs use.
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { prepare, weave } from '../ts/index.ts'
import type { RunOptions } from '../ts/index.ts'
import { folder, node, plain, randomCorpus, root, wordTokenizer, writeJsonl } from './support.ts'

/** Programs by situation. */
type Rows = Record<string, [program: string, settles: string]>

/** The calls that take the options of a run. */
const calls: Record<string, (more: string, call: string) => string> = {
  'weave() to files, result': (more, call) => `weave(files(${more}), ${call}).finished`,
  'weave() to files, events': (more, call) => `all(weave(files(${more}), ${call}))`,
  'weave() in memory, result': (more, call) => `weave(memory(${more}), ${call}).finished`,
  'weave() in memory, events': (more, call) => `all(weave(memory(${more}), ${call}))`,
  'weave() in memory, batches()': (more, call) => `all(weave(memory(${more}), ${call}).batches())`,
  'weave() in memory, sequences()': (more, call) => `all(weave(memory(${more}), ${call}).sequences())`,
  'plan()': (more, call) => `plan(files(${more}), ${call}).then((plan) => plan.close())`,
  'prepare()': (more, call) => `prepare(files(${more}), ${call})`,
  'dryRun()': (more, call) => `dryRun(files(${more}), ${call})`,
}

/** Situations of all of them; calls that do not read what is wrong settle with something else. */
const ofCalls: [situation: string, more: string, call: string, settles: string, others?: Record<string, string>][] = [
  ['nothing is wrong', '{}', '{}', 'ok'],
  ['missing corpus', `{ corpus: at('none.jsonl') }`, '{}', 'INPUT_NOT_FOUND'],
  ['missing tokenizer', `{ tokenizer: at('none.json') }`, '{}', 'INPUT_NOT_FOUND'],
  ['bad row', `{ corpus: at('bad.jsonl') }`, '{}', 'BAD_ROW', { 'prepare()': 'ok', 'dryRun()': 'ok' }],
  ['one id twice', `{ corpus: at('twice.jsonl') }`, '{}', 'DUPLICATE_ID', { 'prepare()': 'ok', 'dryRun()': 'ok' }],
  ['too few tokens', '{ length: 2 ** 20 }', '{}', 'PLAN_EMPTY', { 'prepare()': 'ok', 'dryRun()': 'ok' }],
  ['unknown option', '{ lenght: 8 }', '{}', 'OPTIONS_INVALID'],
  ['wrong value of an option', '{ length: -1 }', '{}', 'OPTIONS_INVALID'],
  ['corpus that throws', '{ corpus: failing() }', '{}', 'mishap', { 'dryRun()': 'ok' }],
  ['document without a text', `{ corpus: [{ id: 'x' }] }`, '{}', 'BAD_ROW', { 'prepare()': 'ok', 'dryRun()': 'ok' }],
  ['signal aborted before', '{}', 'aborted()', 'reason'],
  ['signal aborts at once', '{}', 'soon()', 'reason'],
]

/** Situations of those that take documents from the program. */
const ofPushed: [situation: string, (program: (more: string, call: string) => string) => string, settles: string][] = [
  [
    'signal aborts while documents are read',
    (program) => `abortable((call, abort) => ${program('{ corpus: endless(abort) }', 'call')})`,
    'reason',
  ],
  [
    'its worker is terminated',
    (program) => `terminated(${JSON.stringify(program('{ corpus: endless(pending) }', '{}'))})`,
    'terminated',
  ],
]

const ofRun: Rows = {
  'nothing is read': [`withRun(() => [])`, ''],
  'its error is never read': [`withRun(() => [], { corpus: at('none.jsonl') })`, ''],
  'result, then events': [`withRun((run) => [() => run.finished, () => all(run)])`, 'ok, ok'],
  'events, then result': [`withRun((run) => [() => all(run), () => run.finished])`, 'ok, ok'],
  'both at once, corpus that throws': [
    `withRun((run) => [run.finished, all(run)], { corpus: failing() })`,
    'mishap, mishap',
  ],
  'unknown format': [
    `withRun((run) => [run.finished, all(run)], { output: { format: 'csv' } })`,
    'OPTIONS_INVALID, OPTIONS_INVALID',
  ],
  'sequences of a run to files': [`withRun((run) => typeof run.batches)`, 'undefined'],
  'left in the middle': [
    `withRun((run) => [() => first(run), () => run.finished, () => all(run)])`,
    'ok, CANCELLED, CANCELLED',
  ],
  cancelled: [
    `withRun((run) => [run.cancel(), run.finished, all(run)], { corpus: endless() })`,
    'ok, CANCELLED, CANCELLED',
  ],
  'cancelled after its end': [
    `withRun((run) => [() => run.finished, () => run.cancel(), () => run.finished])`,
    'ok, ok, ok',
  ],
  'closed while awaited': [
    `withRun((run) => [run.finished, run.close(), all(run)], { corpus: endless() })`,
    'CANCELLED, ok, CANCELLED',
  ],
  'closed while two events are awaited': [
    `withRun((run, it = run[Symbol.asyncIterator]()) => [it.next(), it.next(), run.close()], { corpus: endless() })`,
    'CANCELLED, ok, ok',
  ],
  'closed twice and disposed of': [
    `withRun((run) => [run.close(), run.close(), run[Symbol.asyncDispose]()])`,
    'ok, ok, ok',
  ],
  'closed after its end': [`withRun((run) => [() => run.finished, () => run.close(), () => all(run)])`, 'ok, ok, ok'],
  'aborted at the first event': [
    `abortable((call, abort) => withRun((run) => [() => each(run, abort), () => run.finished], { corpus: at('large.jsonl') }, call))`,
    'reason, reason',
  ],
  'aborted after its end': [
    `abortable((call, abort) => withRun((run) => [() => run.finished, abort, () => all(run)], {}, call))`,
    'ok, ok, ok',
  ],
}

const ofMemoryRun: Rows = {
  'nothing is read': [`withMemoryRun(() => [])`, ''],
  'its error is never read': [`withMemoryRun(() => [], { corpus: at('none.jsonl') })`, ''],
  'result alone': [`withMemoryRun((run) => run.finished)`, 'ok'],
  'events alone': [`withMemoryRun((run) => all(run))`, 'ok'],
  'result, then batches': [`withMemoryRun((run) => [() => run.finished, () => all(run.batches())])`, 'ok, ok'],
  'batches, then result': [`withMemoryRun((run) => [() => all(run.batches()), () => run.finished])`, 'ok, ok'],
  'events, then sequences': [`withMemoryRun((run) => [() => all(run), () => all(run.sequences())])`, 'ok, ok'],
  'sequences, then events': [`withMemoryRun((run) => [() => all(run.sequences()), () => all(run)])`, 'ok, ok'],
  'all at once': [`withMemoryRun((run) => [run.finished, all(run), all(run.batches())])`, 'ok, ok, ok'],
  'all at once, bad row': [
    `withMemoryRun((run) => [run.finished, all(run), all(run.batches())], { corpus: at('bad.jsonl') })`,
    'BAD_ROW, BAD_ROW, BAD_ROW',
  ],
  'two readers': [`withMemoryRun((run) => [all(run.batches()), all(run.sequences())])`, 'ok, ok'],
  'sequences left in the middle': [
    `withMemoryRun((run) => [() => first(run.sequences()), () => run.close()])`,
    'ok, ok',
  ],
  'batches left in the middle': [`withMemoryRun((run) => [() => first(run.batches()), () => run.finished])`, 'ok, ok'],
  'events left in the middle': [
    `withMemoryRun((run) => [() => first(run), () => run.finished, () => all(run.batches())])`,
    'ok, CANCELLED, CANCELLED',
  ],
  'closed while a batch is awaited': [
    `withMemoryRun((run) => [run.batches().next(), run.close(), run.finished], { corpus: endless() })`,
    'CANCELLED, ok, CANCELLED',
  ],
  'cancelled while a sequence is awaited': [
    `withMemoryRun((run) => [run.sequences().next(), run.cancel(), run.finished], { corpus: endless() })`,
    'CANCELLED, ok, CANCELLED',
  ],
  'cancelled before the batches': [
    `withMemoryRun((run) => [() => run.finished, () => run.cancel(), () => all(run.batches())])`,
    'ok, ok, CANCELLED',
  ],
  'aborted before the batches': [
    `abortable((call, abort) => withMemoryRun((run) => [() => run.finished, abort, () => all(run.batches())], {}, call))`,
    'ok, ok, reason',
  ],
  'closed before the batches': [
    `withMemoryRun((run) => [() => run.finished, () => run.close(), () => all(run.batches())])`,
    'ok, ok, HANDLE_CLOSED',
  ],
}

const ofPlan: Rows = {
  get: [`withPlan((plan) => [plan.get(0), plan.close()])`, 'ok, ok'],
  'get of what is not there': [
    `withPlan((plan) => [plan.get(plan.length), plan.get(-1), plan.get(0.5)])`,
    'SEQUENCE_NOT_FOUND, OPTIONS_INVALID, OPTIONS_INVALID',
  ],
  'topKeywords of a run without': [`withPlan((plan) => plan.topKeywords())`, 'NOT_KEYWORDED'],
  'closed twice': [`withPlan((plan) => [plan.close(), plan.close()])`, 'ok, ok'],
  'used when closed': [
    `withPlan((plan) => [() => plan.close(), () => plan.get(0), () => plan.topKeywords()])`,
    'ok, HANDLE_CLOSED, HANDLE_CLOSED',
  ],
  'left open': [`withPlan((plan) => plan.get(0))`, 'ok'],
  'onEvent that throws': [`plan(files(), { onEvent: throwing })`, 'mishap'],
}

const ofPreparedRun: Rows = {
  'openRun, nothing there': [`openRun(at('nothing'))`, 'RUN_NOT_PREPARED'],
  'openRun, signals': [`[openRun(at('prepared'), aborted()), openRun(at('prepared'), soon())]`, 'reason, reason'],
  tasks: [`withPrepared((run) => run.tasks())`, 'ok'],
  'tasks, signals': [`withPrepared((run) => [run.tasks(aborted()), run.tasks(soon())])`, 'reason, reason'],
  runTasks: [`withHandle(prepare(files()), (run) => run.runTasks({ stage: 'scan', tasks: 'all' }))`, 'ok'],
  'runTasks, no such stage': [
    `withPrepared((run) => run.runTasks({ stage: 'knit', tasks: 'all' }))`,
    'STAGE_NOT_FOUND',
  ],
  'runTasks, stage of another method': [
    `withPrepared((run) => run.runTasks({ stage: 'embed', tasks: 'all' }))`,
    'STAGE_NOT_FOUND',
  ],
  'runTasks, no such task': [`withPrepared((run) => run.runTasks({ stage: 'scan', tasks: 100 }))`, 'STAGE_NOT_FOUND'],
  'runTasks, too early': [`withPrepared((run) => run.runTasks({ stage: 'pack', tasks: 'all' }))`, 'STAGE_NOT_READY'],
  'runTasks, no such selection': [
    `withPrepared((run) => ['shard:0/4', { shard: [4, 4] }, undefined].map((tasks) => run.runTasks({ stage: 'scan', tasks })))`,
    'OPTIONS_INVALID, STAGE_NOT_FOUND, OPTIONS_INVALID',
  ],
  'runTasks, signals': [
    `withHandle(prepare(files()), (run) => [aborted(), soon()].map((call) => run.runTasks({ stage: 'scan', tasks: 'all', ...call })))`,
    'reason, reason',
  ],
  'runTasks, its worker is terminated': [
    `terminated("prepare(files({ corpus: at('large.jsonl') })).then((run) => { const done = run.runTasks({ stage: 'scan', tasks: 'all' }); pending(); return done })")`,
    'terminated',
  ],
  'topKeywords of a run without': [`withPrepared((run) => run.topKeywords())`, 'NOT_KEYWORDED'],
  'topKeywords, too early': [
    `withHandle(prepare(files({ method: 'quest' })), (run) => run.topKeywords())`,
    'STAGE_NOT_READY',
  ],
  topKeywords: [
    `withPrepared((run) => [run.topKeywords({ limit: 3 }), run.topKeywords({ limit: -1 })], 'woven')`,
    'ok, OPTIONS_INVALID',
  ],
  'topKeywords, signals': [
    `withPrepared((run) => [run.topKeywords(aborted()), run.topKeywords(soon())], 'woven')`,
    'reason, reason',
  ],
  status: [`withPrepared((run) => run.status())`, 'ok'],
  'status, signals': [`withPrepared((run) => [run.status(aborted()), run.status(soon())])`, 'reason, reason'],
}

const ofDirectories: Rows = {
  status: [`status(at('woven'))`, 'ok'],
  'status, nothing there': [`status(at('nothing'))`, 'RUN_NOT_PREPARED'],
  'status, signals': [`[status(at('woven'), aborted()), status(at('woven'), soon())]`, 'reason, reason'],
  'clean that only looks': [`clean(at('woven/.work'), { all: true, dryRun: true })`, 'ok'],
  'clean without a choice': [`clean(at('woven/.work'))`, 'OPTIONS_INVALID'],
  'clean, nothing there': [`clean(at('nothing'), { all: true })`, 'INPUT_NOT_FOUND'],
  'clean, no run to keep': [`clean(at('woven/.work'), { keep: [at('nothing')] })`, 'RUN_NOT_PREPARED'],
  'clean, signals': [
    `[aborted(), soon()].map((call) => clean(at('woven/.work'), { all: true, dryRun: true, ...call }))`,
    'reason, reason',
  ],
  report: [`report([at('woven')], { out: fresh('report.html') })`, 'ok'],
  'report, nothing there': [`report([at('nothing')], { out: fresh('report.html') })`, 'OUTPUT_NOT_FOUND'],
  'report of nothing': [`report([], { out: fresh('report.html') })`, 'OPTIONS_INVALID'],
  'report, signals': [
    `[aborted(), soon()].map((call) => report([at('woven')], { out: fresh('report.html'), ...call }))`,
    'reason, reason',
  ],
}

/** Calls of an opened output. */
const ofOpened = Object.entries({
  get: (call: string) => `out.get(0, ${call})`,
  sequences: (call: string) => `all(out.sequences(${call}))`,
  batches: (call: string) => `all(out.batches(${call}))`,
  verify: (call: string) => `out.verify(${call})`,
  show: (call: string) => `out.show(0, ${call})`,
}).reduce<Rows>(
  (rows, [name, use]) => ({
    ...rows,
    [name]: [`withOutput((out) => ${use('{}')})`, 'ok'],
    [`${name}, signals`]: [`withOutput((out) => [${use('aborted()')}, ${use('soon()')}])`, 'reason, reason'],
    [`${name}, closed while awaited`]: [`withOutput((out) => [${use('{}')}, out.close(), out.close()])`, 'ok, ok, ok'],
    [`${name}, closed before`]: [`withOutput((out) => [() => out.close(), () => ${use('{}')}])`, 'ok, HANDLE_CLOSED'],
    [`${name}, its worker is terminated`]: [
      `terminated(${JSON.stringify(`withOutput((out) => { const done = ${use('{}')}; pending(); return done })`)})`,
      'terminated',
    ],
  }),
  {},
)

const ofOutput: Rows = {
  'openOutput, nothing there': [`openOutput(at('nothing'))`, 'OUTPUT_NOT_FOUND'],
  'openOutput of a prepared run': [`openOutput(at('prepared'))`, 'OUTPUT_NOT_FOUND'],
  'openOutput of a URL': [`openOutput('http://127.0.0.1:9/out')`, 'REMOTE_NOT_BUILT'],
  'openOutput, no location': [`openOutput(7)`, 'OPTIONS_INVALID'],
  'openOutput, signals': [`[openOutput(at('woven'), aborted()), openOutput(at('woven'), soon())]`, 'reason, reason'],
  'openOutput, its worker is terminated': [
    `terminated("(async () => { pending(); for (;;) await openOutput(at('woven')) })()")`,
    'terminated',
  ],
  ...ofOpened,
  'get of what is not there': [
    `withOutput((out) => [out.get(out.length), out.get(-1), out.get(0.5)])`,
    'SEQUENCE_NOT_FOUND, OPTIONS_INVALID, OPTIONS_INVALID',
  ],
  'get, many at once': [`withOutput((out) => [3, 1, 2, 0].map((i) => out.get(i)))`, 'ok, ok, ok, ok'],
  'show of what is not there': [`withOutput((out) => out.show(out.length))`, 'SEQUENCE_NOT_FOUND'],
  'sequences, no such range': [
    `withOutput((out) => [{ start: -1 }, { batchSize: 0 }, { end: 0.5 }].map((range) => all(out.sequences(range))))`,
    'OPTIONS_INVALID, OPTIONS_INVALID, OPTIONS_INVALID',
  ],
  'sequences, left and read again': [
    `withOutput((out) => [() => first(out), () => first(out.sequences({ batchSize: 1 })), () => all(out)])`,
    'ok, ok, ok',
  ],
  'sequences, two readers': [`withOutput((out) => [all(out), all(out.sequences({ batchSize: 1 }))])`, 'ok, ok'],
  'sequences, aborted in the middle': [
    `abortable((call, abort) => withOutput((out) => each(out.sequences({ batchSize: 1, ...call }), abort)))`,
    'reason',
  ],
  'sequences, closed in the middle': [
    `withOutput((out) => each(out.sequences({ batchSize: 1 }), () => out.close()))`,
    'HANDLE_CLOSED',
  ],
  'disposed of': [`withOutput((out) => [() => out[Symbol.asyncDispose](), () => out.get(0)])`, 'ok, HANDLE_CLOSED'],
  damaged: [`withOutput((out) => out.verify(), 'damaged')`, 'VERIFY_FAILED'],
}

const ofShortcuts: Rows = {
  verify: [`verify(at('woven'))`, 'ok'],
  'verify, nothing there': [`verify(at('nothing'))`, 'OUTPUT_NOT_FOUND'],
  'verify, damaged': [`verify(at('damaged'))`, 'VERIFY_FAILED'],
  'verify, signals': [`[verify(at('woven'), aborted()), verify(at('woven'), soon())]`, 'reason, reason'],
  'verify, its worker is terminated': [
    `terminated("(async () => { pending(); for (;;) await verify(at('woven')) })()")`,
    'terminated',
  ],
  readSequences: [`all(readSequences(at('woven')))`, 'ok'],
  'readSequences, nothing there': [`all(readSequences(at('nothing')))`, 'OUTPUT_NOT_FOUND'],
  'readSequences, no such range': [`all(readSequences(at('woven'), { start: 1.5 }))`, 'OPTIONS_INVALID'],
  'readSequences, left in the middle': [`first(readSequences(at('woven'), { batchSize: 1 }))`, 'ok'],
  'readSequences, never begun': [`readSequences(at('nothing')), 'begun'`, 'begun'],
  'readSequences, given up at once': [`readSequences(at('nothing')).return()`, 'ok'],
  'readSequences, signals': [
    `[all(readSequences(at('woven'), aborted())), all(readSequences(at('woven'), soon()))]`,
    'reason, reason',
  ],
  'readSequences, aborted in the middle': [
    `abortable((call, abort) => each(readSequences(at('woven'), { batchSize: 1, ...call }), abort))`,
    'reason',
  ],
  'readSequences, its worker is terminated': [
    `terminated("(async () => { pending(); for (;;) await all(readSequences(at('woven'))) })()")`,
    'terminated',
  ],
}

const ofParts: Rows = {
  readDocuments: [`all(readDocuments({ corpus: at('corpus.jsonl') }))`, 'ok'],
  'readDocuments, missing corpus': [`all(readDocuments({ corpus: at('none.jsonl') }))`, 'INPUT_NOT_FOUND'],
  'readDocuments, bad row': [`all(readDocuments({ corpus: at('bad.jsonl') }))`, 'BAD_ROW'],
  'readDocuments, wrong options': [
    `[all(readDocuments({})), all(readDocuments({ corpus: at('corpus.jsonl'), colour: 'red' }))]`,
    'OPTIONS_INVALID, OPTIONS_INVALID',
  ],
  'readDocuments, left in the middle': [`first(readDocuments({ corpus: at('large.jsonl') }))`, 'ok'],
  'readDocuments, never begun': [`readDocuments({ corpus: at('none.jsonl') }), 'begun'`, 'begun'],
  'readDocuments, signals': [
    `[aborted(), soon()].map((call) => all(readDocuments({ corpus: at('corpus.jsonl'), ...call })))`,
    'reason, reason',
  ],
  'readDocuments, aborted in the middle': [
    `abortable((call, abort) => each(readDocuments({ corpus: at('large.jsonl'), ...call }), abort))`,
    'reason',
  ],
  'readDocuments, its worker is terminated': [
    `terminated("(async () => { pending(); for (;;) await all(readDocuments({ corpus: at('large.jsonl') })) })()")`,
    'terminated',
  ],
  'Rake.open': [`Rake.open({ stopWordsFile: at('stop.txt') })`, 'ok'],
  'Rake.open, missing file': [`Rake.open({ stopWordsFile: at('none.txt') })`, 'INPUT_NOT_FOUND'],
  'Rake.open, wrong option': [`Rake.open({ stopWordsFile: at('stop.txt'), minScore: 'high' })`, 'OPTIONS_INVALID'],
  'Rake.open, signals': [
    `[aborted(), soon()].map((call) => Rake.open({ stopWordsFile: at('stop.txt') }, call))`,
    'reason, reason',
  ],
}

/** A handle on a model: how it is opened, and the iterator that it has. */
function ofModel(open: (more: string, call?: string) => string, use: string, missing: string): Rows {
  const opened = (uses: string) => `withHandle(${open('')}, (model) => ${uses})`
  const read = (texts: string, call = '{}') => `all(model.${use}(${texts}, ${call}))`
  return {
    open: [open(''), 'ok'],
    'open, missing model': [open(`model: at('nothing')`), missing],
    'open, unknown option': [open(`colour: 'red'`), 'OPTIONS_INVALID'],
    'open, signals': [`[${open('', 'aborted()')}, ${open('', 'soon()')}]`, 'reason, reason'],
    'open, its worker is terminated': [
      `terminated(${JSON.stringify(`((done) => { pending(); return done })(${open('')})`)})`,
      'terminated',
    ],
    [use]: [opened(read(`['a plan', 'another']`)), 'ok'],
    [`${use}, texts that throw`]: [opened(read('failingTexts()')), 'mishap'],
    [`${use}, not a text`]: [opened(read('[7]')), 'BAD_ROW'],
    [`${use}, wrong option`]: [opened(read(`['a']`, '{ batchSize: 0 }')), 'OPTIONS_INVALID'],
    [`${use}, signals`]: [opened(`[${read(`['a']`, 'aborted()')}, ${read(`['a']`, 'soon()')}]`), 'reason, reason'],
    [`${use}, aborted while texts are read`]: [
      `abortable((call, abort) => ${opened(read('endlessTexts(abort)', '{ batchSize: 8, ...call }'))})`,
      'reason',
    ],
    [`${use}, left in the middle`]: [
      opened(`[() => first(model.${use}(endlessTexts(), { batchSize: 4 })), () => model.close()]`),
      'ok, ok',
    ],
    [`${use}, closed while awaited`]: [
      opened(`[${read(`['a']`)}, model.close(), model.close()]`),
      'HANDLE_CLOSED, ok, ok',
    ],
    [`${use}, closed before`]: [opened(`[() => model.close(), () => ${read(`['a']`)}]`), 'ok, HANDLE_CLOSED'],
    [`${use}, left open`]: [opened(`model.${use}(['a']).next()`), 'ok'],
    [`${use}, its worker is terminated`]: [
      `terminated(${JSON.stringify(opened(read('endlessTexts(pending)', '{ batchSize: 4 }')))})`,
      'terminated',
    ],
  }
}
const extractive = (more: string, call = '{}') => `QueryPredictor.open({ predictor: 'extractive', ${more} }, ${call})`
const query = (more: string, call = '{}') =>
  `QueryPredictor.open({ predictor: 'onnx', model: model('t5-v1_1/longweave'), device: 'cpu', maxQueryTokens: 8, ${more} }, ${call})`
const embedder = (more: string, call = '{}') =>
  `Embedder.open({ model: model('bert'), device: 'cpu', ${more} }, ${call})`

/** The situations of a call that takes the options of a run. */
function ofCall(name: string, program: (more: string, call: string) => string): Rows {
  const rows: Rows = {}
  for (const [situation, more, call, settles, others] of ofCalls)
    rows[situation] = [program(more, call), others?.[name] ?? settles]
  if (name !== 'dryRun()') for (const [situation, put, settles] of ofPushed) rows[situation] = [put(program), settles]
  return rows
}

const matrix: Record<string, Rows> = {
  ...Object.fromEntries(Object.entries(calls).map(([name, program]) => [name, ofCall(name, program)])),
  Run: ofRun,
  MemoryRun: ofMemoryRun,
  Plan: ofPlan,
  PreparedRun: ofPreparedRun,
  'status(), clean(), report()': ofDirectories,
  Output: ofOutput,
  'verify(), readSequences()': ofShortcuts,
  'readDocuments(), Rake.open()': ofParts,
  'QueryPredictor, extractive': ofModel(extractive, 'predict', 'OPTIONS_INVALID'),
  'QueryPredictor, onnx': ofModel(query, 'predict', 'MODEL_MISSING'),
  Embedder: ofModel(embedder, 'embed', 'MODEL_MISSING'),
}

const directory = folder()
const at = (name: string) => join(directory, name)

beforeAll(async () => {
  const documents = randomCorpus(3, 80, 40)
  const base = {
    ...plain,
    corpus: writeJsonl(at('corpus.jsonl'), documents),
    tokenizer: wordTokenizer(directory),
    length: 32,
  } satisfies Partial<RunOptions>
  writeJsonl(at('bad.jsonl'), [...documents.slice(0, 9), { id: 'bad' }])
  writeJsonl(at('twice.jsonl'), [...documents, ...documents.slice(0, 1)])
  writeJsonl(at('large.jsonl'), randomCorpus(4, 20_000, 40))
  writeFileSync(at('stop.txt'), 'the\nof\n')
  mkdirSync(at('nothing'))
  await weave({ ...base, output: { directory: at('woven') } }).finished
  await prepare({ ...base, method: 'standard', output: { directory: at('prepared') } })
  cpSync(at('woven'), at('damaged'), { recursive: true })
  const file = at(`damaged/${readdirSync(at('damaged')).find((name) => name.endsWith('.parquet'))}`)
  const bytes = readFileSync(file)
  bytes[100] = (bytes[100] ?? 0) ^ 1
  writeFileSync(file, bytes)
})

const names = JSON.stringify(pathToFileURL(join(root, '__test__/settle/program.mjs')))
/** Only a program that hangs takes that long, on any machine. */
const patience = 180_000

describe.each(Object.entries(matrix))('%s', (_, rows) => {
  test.concurrent.each(Object.entries(rows))('%s', async (_situation, [program, settles]) => {
    const source = `import { outcome } from ${names}\nconsole.log(await outcome(() => (${program})))`
    const env = { SETTLE_DIRECTORY: directory }
    const { child, ended } = node(['--input-type=module', '-e', source], { env })
    const hangs = setTimeout(() => child.kill('SIGKILL'), patience)
    const outcome = await ended
    clearTimeout(hangs)
    expect(outcome, program).toEqual({ status: 0, signal: null, out: `${settles}\n`, err: '' })
  })
})

test('the matrix covers every function and iterator of the API', () => {
  const size = Object.values(matrix).reduce((sum, rows) => sum + Object.keys(rows).length, 0)
  console.log(`${size} programs, ${Object.keys(matrix).length} subjects`)
  expect(size).toBeGreaterThan(250)
})
