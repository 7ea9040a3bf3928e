// Types as users meet them. `npm run typecheck` is what checks this file; vitest only runs it.
import { expectTypeOf, test } from 'vitest'
import { LongweaveError, QueryPredictor, Rake, dryRun, readSequences, resolveOptions, weave } from '../ts/index.ts'
import type {
  MemoryRun,
  Output,
  Piece,
  Run,
  CorpusDocument,
  DryRun,
  ErrorCode,
  Options,
  PredictedQueries,
  ResolvedOptions,
  RunEvent,
  RunStatus,
  Sequence,
  SequenceBatch,
  Summary,
  RunOptions,
} from '../ts/index.ts'

const least = { corpus: 'a.jsonl', tokenizer: 't.json', length: 8, output: { directory: 'out' } } satisfies RunOptions

// Never called: only their types matter.
const wovenToFiles = () => weave(least)
const wovenInMemory = () => weave({ ...least, output: { format: 'memory' } })

test('what must be given is required, and everything else is not', () => {
  expectTypeOf(least).toExtend<RunOptions>()
  // @ts-expect-error `length` has no default
  const without: RunOptions = { corpus: 'a', tokenizer: 't' }
  // @ts-expect-error there is no option of this name
  const misspelt: RunOptions = { ...least, lenght: 8 }
  // @ts-expect-error not a method
  const magic: RunOptions = { ...least, method: 'magic' }
  // @ts-expect-error standard has no hierarchy to climb
  const climbing: RunOptions = { ...least, method: { name: 'standard', fill: 'related' } }
  expectTypeOf([without, misspelt, magic, climbing]).toBeArray()
})

test('a corpus is paths or documents, at once or as they come', () => {
  expectTypeOf<string[]>().toExtend<RunOptions['corpus']>()
  expectTypeOf<AsyncGenerator<{ id: string; text: string }>>().toExtend<RunOptions['corpus']>()
  expectTypeOf<CorpusDocument[]>().toExtend<RunOptions['corpus']>()
  expectTypeOf<AsyncIterable<{ body: string }>>().not.toExtend<RunOptions['corpus']>()
})

test('resolved options have every choice made', () => {
  expectTypeOf(resolveOptions).returns.toEqualTypeOf<ResolvedOptions>()
  expectTypeOf<ResolvedOptions['memory']>().toEqualTypeOf<number>()
  expectTypeOf<Options['memory']>().toEqualTypeOf<number | string | undefined>()
  expectTypeOf<ResolvedOptions['method']['name']>().toEqualTypeOf<
    'quest' | 'standard' | 'knn' | 'iclm' | 'long' | 'nextlong' | 'topics' | 'interleave'
  >()
  expectTypeOf<ResolvedOptions>().toExtend<Required<ResolvedOptions>>()
})

test('a run is events, a summary, and sequences', () => {
  expectTypeOf(wovenToFiles).returns.toEqualTypeOf<Run>()
  expectTypeOf(wovenInMemory).returns.toEqualTypeOf<MemoryRun>()
  expectTypeOf<Run>().toExtend<AsyncIterable<RunEvent>>()
  expectTypeOf<Run>().toExtend<AsyncDisposable>()
  expectTypeOf<Run['finished']>().resolves.toEqualTypeOf<Summary>()
  expectTypeOf<Run>().not.toHaveProperty('sequences')
  expectTypeOf<ReturnType<MemoryRun['batches']>>().toExtend<AsyncIterable<SequenceBatch>>()
  expectTypeOf<ReturnType<MemoryRun['sequences']>>().toExtend<AsyncIterable<Sequence>>()
  expectTypeOf(readSequences).returns.toExtend<AsyncIterable<Sequence>>()
  expectTypeOf<Output>().toExtend<AsyncIterable<Sequence>>()
  expectTypeOf<Sequence['inputIds']>().toEqualTypeOf<Uint32Array>()
  expectTypeOf<Piece['reason']>().toEqualTypeOf<string | null>()
})

test('events are told apart by their type', () => {
  const event = {
    type: 'progress',
    stage: 'pack',
    done: 1,
    total: 2,
    unit: 'sequences',
    seconds: 1,
    etaSeconds: 1,
  } as RunEvent
  if (event.type === 'stage') expectTypeOf(event.state).toEqualTypeOf<'started' | 'reused' | 'done'>()
  if (event.type === 'progress')
    expectTypeOf(event.unit).toEqualTypeOf<'bytes' | 'tokens' | 'documents' | 'vectors' | 'sequences' | 'tasks'>()
  if (event.type === 'progress') expectTypeOf(event.etaSeconds).toEqualTypeOf<number | null>()
  if (event.type === 'warning') expectTypeOf(event).toHaveProperty('message')
})

test('errors have codes that a switch can be checked by', () => {
  expectTypeOf<LongweaveError['code']>().toEqualTypeOf<ErrorCode>()
  expectTypeOf<'BAD_ROW'>().toExtend<ErrorCode>()
  expectTypeOf<'BAD_LUCK'>().not.toExtend<ErrorCode>()
  const error = new LongweaveError('BAD_ROW', 'a message') as LongweaveError
  if (error.code === 'BAD_ROW') expectTypeOf(error.details.line).toEqualTypeOf<number | undefined>()
  // @ts-expect-error only some codes have a line
  expectTypeOf(error.details.line).toBeAny()
  const caught: unknown = error
  if (caught instanceof LongweaveError && caught.code === 'DUPLICATE_ID')
    expectTypeOf(caught.details.id).toEqualTypeOf<string | undefined>()
})

test('the small parts say what they give', () => {
  expectTypeOf<ReturnType<Rake['extract']>>().toEqualTypeOf<{ phrase: string; score: number }[]>()
  expectTypeOf<ReturnType<QueryPredictor['predict']>>().toExtend<AsyncIterable<PredictedQueries>>()
})

// generated.test.ts holds the members of results against real JSON.
test('results say what is not known, and options what they may be', () => {
  expectTypeOf<RunStatus['etaSeconds']>().toEqualTypeOf<number | null>()
  expectTypeOf<RunStatus['stages'][number]['tasks']>().toEqualTypeOf<number | null>()
  expectTypeOf(dryRun).parameter(0).toEqualTypeOf<RunOptions>()
  expectTypeOf<DryRun['options']>().toEqualTypeOf<ResolvedOptions>()
  // @ts-expect-error there is no other check
  const strict: RunOptions = { ...least, diskCheck: 'panic' }
  expectTypeOf(strict).toExtend<object>()
})
