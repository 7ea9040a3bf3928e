// The public API.
export { readDocuments } from './documents.ts'
export type { ReadOptions, TextDocument, DocumentSource } from './documents.ts'
export { clean } from './clean.ts'
export type { CleanOptions } from './clean.ts'
export type { DryRun } from './dry-run.ts'
export { Embedder } from './embedder.ts'
export type { EmbedOptions, EmbedderOptions } from './embedder.ts'
export { LongweaveError, errorCodes } from './errors.ts'
export type { ErrorCode, ErrorDetails } from './errors.ts'
export type { ProgressEvent, StageEvent, WarningEvent } from './events.ts'
export type * from './generated/results.ts'
export { resolveOptions } from './options.ts'
export { readSequences, show, stage, tasks, topKeywords, trainTokenizer, verify } from './output.ts'
export type { ShowOptions, TrainOptions } from './output.ts'
export { QueryPredictor } from './predictor.ts'
export type {
  PredictOptions,
  PredictedQueries,
  PredictorTiming,
  QueryModelOptions,
  QueryPredictorOptions,
} from './predictor.ts'
export { Rake } from './rake.ts'
export type { Keyword, RakeOptions } from './rake.ts'
export { report } from './report.ts'
export type { ReportOptions, WrittenReport } from './report.ts'
export { optionsJsonSchema, optionsSchema, presets } from './schema.ts'
export type { Options, Preset, ResolvedOptions } from './schema.ts'
export type { Pieces, Sequence, SequenceBatch } from './sequences.ts'
export { status } from './status.ts'
export { Weave, dryRun, plan, prepare, weave } from './weave.ts'
export type { CallOptions, Corpus, CorpusDocument, WeaveOptions } from './weave.ts'
