// Generated from the Rust types by `node scripts/types.mjs`; do not edit.
import type { Stage } from './stages.ts'

/**
 * The results that `clean` deleted from a work directory, and those it kept. A dry run says what
 * it would delete.
 */
export interface CleanReport {
  /** The work directory. */
  work: string
  /** Its directories of results, in byte order of name. */
  directories: CleanedDirectory[]
  /** Bytes deleted. */
  removedBytes: number
  /** Bytes of the results that were kept. */
  keptBytes: number
}

/** A directory of results in a work directory. */
export interface CleanedDirectory {
  /** `<stage>-<digest>` or `spool`. */
  name: string
  /**
   * The stage that made it, `spool` for documents that were handed over. Null for what an
   * interrupted `clean` left.
   */
  stage: string | null
  /** Bytes of its files. */
  bytes: number
  /**
   * Seconds that processes worked to make it, from the logs of the runs that are known. Null
   * where no log says so.
   */
  seconds: number | null
  /** Devices of the model that made it, `cpu` or `cuda:N`. Empty where no model did. */
  devices: string[]
  /** Whether it was deleted. */
  removed: boolean
  /** The run that it is kept for. Null where it was deleted. */
  keptFor: string | null
  /** Whether a process works with it now. */
  inUse: boolean
}

/** Counts of the corpus' files, rows, documents and tokens. */
export interface CorpusCounts {
  /** Files that were read. 0 where documents were handed over. */
  files: number
  /** Rows, those without a document included. */
  rows: number
  /** Rows that became documents. */
  documents: number
  /** Rows without text. */
  empty: number
  /** Rows that could not be used, listed in `rejects.jsonl`. */
  rejected: number
  /** Documents whose id was changed because an earlier document has it. */
  renamed: number
  /** Bytes of the documents' text in UTF-8. */
  bytes: number
  /** Tokens of the documents' text. */
  tokens: number
  /** Special tokens that are written in text. */
  specialText: SpecialTextCounts
  /** Documents with a source. 0 without `sourceField`. */
  withSource: number
  /** Files and directories below the corpus that were not read, by reason and name. */
  unread: Unread[]
  /** Documents in which half a surrogate pair became U+FFFD. */
  replacedSurrogates: number
}

/**
 * The size of a corpus: counted by an earlier run over the same work directory, or estimated from
 * a sample.
 */
export interface CorpusFacts {
  /** Rows of all files. */
  rows: number
  /** Bytes of text in UTF-8. */
  textBytes: number
  /** Tokens of that text. */
  tokens: number
  /** True for counts, false for estimates. */
  counted: boolean
}

/** The files of a corpus, as found for a run. */
export interface CorpusPlan {
  /** The directory or URL that relative paths start from. */
  root: string
  /** Files that will be read. */
  files: number
  /** Bytes of these files, as stored. */
  bytes: number
  /** Parts of the corpus, each read by one task. */
  splits: number
  /** Files and directories below the corpus that will not be read, by reason and name. */
  unread: Unread[]
  /** The encoder that reads the tokenizer.json. */
  encoder: string
}

/** How a count is distributed over sequences. Its mean is `sum` ÷ sequences. */
export interface CountDistribution {
  /** Sum over all sequences. */
  sum: number
  /** The largest count of a sequence. */
  max: number
  /** Sequences by count: entry 0 counts those with 1, entry 1 those with 2, then 3–4, 5–8, … */
  histogram: number[]
}

/** Bytes that a run has yet to write to a directory, and the free space for them. */
export interface DirectoryNeed {
  /** The directory that is written. */
  directory: string
  /** Bytes to be written, estimated. Null where the size of the corpus is unknown. */
  bytes: number | null
  /** Bytes free on its file system. Null where the system does not say. */
  freeBytes: number | null
}

/** Bytes that a run has yet to write, and the free space for them. */
export interface DiskNeed {
  /** The need of the work directory. */
  work: DirectoryNeed
  /** The need of the output directory. */
  output: DirectoryNeed
  /** Whether both directories are on one file system. Null where the system does not say. */
  shared: boolean | null
  /** Whether everything fits. Null where a need or the free space is unknown. */
  fits: boolean | null
}

/** Sizes of a run's directories. */
export interface DiskUse {
  /** Bytes of the work directory, which other runs may share. */
  workBytes: number
  /** Bytes of the output directory, without a work directory inside it. */
  outputBytes: number
  /** Bytes free on the work directory's file system. Null where the system does not say. */
  workFreeBytes: number | null
  /** Bytes free on the output directory's file system. Null where the system does not say. */
  outputFreeBytes: number | null
}

/** How a count is distributed over sequences. */
export interface Distribution {
  /** Mean over the sequences. */
  mean: number
  /** The largest count of a sequence. */
  max: number
  /** Sequences by count: entry 0 counts those with 1, entry 1 those with 2, then 3–4, 5–8, … */
  histogram: number[]
}

/** The process that drives a run. */
export interface DriverProcess {
  /** Its process id. */
  process: number
  /** The name of its machine. */
  host: string
}

/** Tokens of documents that were used and are in no sequence, by cause. */
export interface DroppedTokens {
  /** Cut off by `overflow: truncate`. */
  truncate: number
  /** Leftovers of groups, dropped by `fill: drop`. */
  fill: number
  /** Sequences left incomplete at the end of an epoch and dropped. */
  incomplete: number
  /** Sequences beyond the number that `tokens` asks for. */
  budget: number
}

/** The tasks, bytes and memory of a run. A dry run writes nothing. */
export interface DryRunResult {
  /** The output directory. Null for the format `memory`. */
  directory: string | null
  /** The work directory. Null where a temporary one is made for the run. */
  work: string | null
  /** The files of the corpus. Null where documents are handed over. */
  corpus: CorpusPlan | null
  /** The size of the corpus, counted or estimated. Null where no document could be read. */
  facts: CorpusFacts | null
  /** The run's stages in order. */
  stages: StagePlan[]
  /**
   * Bytes to be written and the space for them. Null where documents are handed over, and for
   * the format `memory`.
   */
  disk: DiskNeed | null
  /** Memory that the run will hold. */
  memory: MemoryPlan
  /** Sentences on what cannot be known before the run. */
  unknown: string[]
}

/** Documents that do not take part in a plan, each under the first cause that applies. */
export interface ExcludedDocuments {
  /** Rejected rows and documents without a token. */
  empty: number
  /** Fewer than `minTokens` tokens. */
  tooShort: number
  /** More than `maxTokens` tokens. */
  tooLong: number
  /** Documents of the other plan: held out of this one, or not held out. */
  otherPart: number
  /** Without a representative keyword (`pool: keyworded`). */
  withoutKeyword: number
  /** Of a source that `sources` does not name, or gives no weight. */
  withoutWeight: number
  /** Documents whose text equals that of an earlier one (`dedup: exact` and `near`). */
  duplicate: number
  /** Documents whose text nearly equals that of another one (`dedup: near`). */
  nearDuplicate: number
  /** Documents of the plans of other `lengths`. */
  otherLength: number
}

/** The format of an output's files, as in the option `output.format`. */
export type FileFormat = 'parquet' | 'mds' | 'megatron' | 'datatrove' | 'numpy' | 'datasets' | 'litdata' | 'jsonl'

/** A result file of a task. */
export interface FileRecord {
  /** Path below the stage's directory, with `/`. */
  name: string
  /** Its length. */
  bytes: number
  /** XXH3 checksum of the file, 16 hexadecimal digits. */
  xxh3: string
}

/** The pass of the plan in which a group was made. */
export interface GroupPass {
  /** The epoch, from 0. */
  epoch: number
  /** The pass over the group's keyword or topic in the epoch, from 0. */
  round: number
  /**
   * Documents of the corpus with the group's keyword, or found for its topic. Null for a group
   * without one.
   */
  documents: number | null
}

/** How a file of JSON or an archive is compressed. */
export type InputCompression = 'plain' | 'gzip' | 'zstd' | 'bzip2' | 'xz' | 'lz4'

/** A file of a corpus. */
export interface InputFile {
  /** Path below the corpus' root, with `/`. */
  path: string
  /** How the file is read. */
  kind: InputKind
  /** Length in bytes, as stored. */
  bytes: number
  /** Modification time in nanoseconds since 1970. Absent for a remote file. */
  modifiedNs?: number
  /** The entity tag of a remote file. Absent for a local one. */
  etag?: string
  /** The number of the path of the corpus that names the file; kept where that is its source. */
  namedBy?: number
  /** The other file of a token file, next to it. */
  companion?: InputFile
}

/**
 * How a file of a corpus is read: as JSON or an archive with its compression, as Parquet or Arrow,
 * or as one document.
 */
export type InputKind =
  | { jsonl: InputCompression }
  | { jsonArray: InputCompression }
  | { tar: InputCompression }
  | 'parquet'
  | 'arrow'
  | 'megatron'
  | 'datatrove'
  | 'numpy'
  | 'text'

/** A keyword and the documents that it represents. */
export interface KeywordCount {
  /** The keyword, normalised. */
  keyword: string
  /** Documents of the corpus whose representative keyword it is. */
  documents: number
}

/** Keyword lists of the pool by kind (`quest`). A list holds the documents of one keyword. */
export interface KeywordListCounts {
  /** Lists with fewer documents than a group needs. */
  singletons: number
  /** Lists of the short set, which an epoch uses `oversample` times. */
  short: number
  /** Lists of the long set, which an epoch uses once. */
  long: number
  /** Documents of the short set. */
  shortDocuments: number
  /** Tokens of the short set's documents, each document once. */
  shortTokens: number
  /** Lists by number of documents: entry n is about those with more than 2ⁿ⁻¹ and at most 2ⁿ. */
  sizes: ListSizes[]
}

/** Counts of keywords. */
export interface KeywordSummary {
  /** Documents with at least one query. */
  withQuery: number
  /** Documents with at least one candidate keyword. */
  withCandidate: number
  /** Documents with a representative keyword. */
  withKeyword: number
  /** Distinct representative keywords. */
  distinct: number
  /** Counts of each language, most documents first. */
  languages: LanguageCounts[]
}

/** Counts of the documents of a language. */
export interface LanguageCounts {
  /** Its code, of ISO 639-1 where there is one; `und` for a language that longweave does not know. */
  language: string
  /** Documents in it. */
  documents: number
  /** Those with at least one candidate keyword. */
  withCandidate: number
}

/** Keyword lists with `from` to `to` documents, by kind. */
export interface ListSizeRange {
  /** Fewest documents of such a list. */
  from: number
  /** Most documents of such a list. */
  to: number
  /** Lists too small to be used. */
  singletons: number
  /** Lists of the short set. */
  short: number
  /** Lists of the long set. */
  long: number
}

/**
 * Keyword lists of one range of sizes, by kind. Entry n of `KeywordListCounts.sizes` is about
 * lists with more than 2ⁿ⁻¹ and at most 2ⁿ documents.
 */
export interface ListSizes {
  /** Lists too small to be used. */
  singletons: number
  /** Lists of the short set. */
  short: number
  /** Lists of the long set. */
  long: number
}

/** An error or warning from the log of a run. */
export interface LogMessage {
  /** When it was written, as RFC 3339 in UTC. */
  time: string
  /** The id of the process that wrote it. */
  process: number
  /** The machine of the process. Null where the log does not say. */
  host: string | null
  /** The error's code. Null for a warning. */
  code: string | null
  /** The text for people. */
  message: string
}

/** Documents of the pool with at least `method.threshold` tokens; 0 for methods other than `long`. */
export interface LongCounts {
  /** Their number. */
  documents: number
  /** Tokens of these documents. */
  tokens: number
}

/** `longweave.json` of an output directory: what the output holds, and the run that made it. */
export interface Manifest {
  /** Format of the files that hold sequences. */
  format: FileFormat
  /** Tokens of a sequence. */
  length: number
  /** Sequences of the output. */
  sequences: number
  /** Columns on pieces that the output has. */
  provenance: Provenance
  /** Every file except `longweave.json` and `SHA256SUMS`, in byte order of name. */
  files: ManifestFile[]
  /** The version of longweave that made the output. */
  version: string
  /** `main`, or `holdout` for the output of the held-out documents. */
  part: 'main' | 'holdout'
  /**
   * The options of the run that decide results. Options on threads, memory and places are left
   * out.
   */
  options: Record<string, unknown>
  /** The files of the corpus, in byte order of path. Empty where documents were handed over. */
  inputs: InputFile[]
  /** The tokenizer that made the tokens. */
  tokenizer: ManifestTokenizer
  /** Counts of the output's plan. */
  plan: PlanStats
  /** The part of the run's summary that is the same for equal runs. */
  counts: Omit<
    Summary,
    'version' | 'method' | 'directory' | 'format' | 'length' | 'encoder' | 'specialTokens' | 'seconds' | 'warnings'
  >
}

/** A file of an output, as `longweave.json` lists it. */
export interface ManifestFile {
  /** Path below the output directory, with `/`. */
  name: string
  /** Its length. */
  bytes: number
  /** SHA-256 in lower-case hexadecimal. */
  sha256: string
  /** Sequences whose tokens it holds. 0 for indexes, provenance and reports. */
  sequences: number
}

/** The tokenizer of an output. */
export interface ManifestTokenizer {
  /** SHA-256 of the tokenizer.json, in lower-case hexadecimal. */
  sha256: string
  /** Ids of the separator after each document. Empty without one. */
  separator: number[]
  /** Id of the begin token. Null without one. */
  bos: number | null
  /** Id of the padding token. Null where none is known or needed. */
  pad: number | null
  /** How these were found. */
  specialTokens: SpecialToken[]
}

/** Means over the sequences of a plan. */
export interface Means {
  /** Distinct groups in a sequence. */
  groupsPerSequence: number
  /** Distinct documents in a sequence. */
  documentsPerSequence: number
}

/** Memory that a run will hold. */
export interface MemoryPlan {
  /** The option `memory`: bytes for tokenizing, predicting and packing. */
  budgetBytes: number
  /**
   * Bytes of metadata and vectors that the stage with most of them holds in addition, estimated.
   * Null where the size of the corpus is unknown.
   */
  metadataBytes: number | null
}

/** A method of composing sequences, as in the option `method.name`. */
export type MethodName = 'quest' | 'standard' | 'knn' | 'iclm' | 'long' | 'nextlong' | 'topics' | 'interleave'

/** How neighbours were searched: over all pairs, or over inverted lists. */
export type NeighbourSearch = 'exact' | 'inverted'

/** The search for nearest neighbours. */
export interface NeighbourSummary {
  /** `exact` compared all pairs, `inverted` only those of the nearest inverted lists. */
  search: NeighbourSearch
  /** Most neighbours of a vector. */
  k: number
  /** Mean number of neighbours of a vector. */
  mean: number
  /**
   * Share of the exact neighbours that were found, 0 to 1, measured on a sample. Null for
   * `exact`.
   */
  recall: number | null
  /** Vectors of that sample. */
  sampled: number
}

/** Where sequences go: into files of a format, or to the program. */
export type OutputFormat = FileFormat | 'memory'

/** Pieces of a plan. A piece is a run of a document's tokens in one sequence. */
export interface PieceCounts {
  /** All pieces. */
  total: number
  /** Pieces that hold only a part of their document. */
  cut: number
}

/**
 * Counts of a plan, from which shares and means follow.
 *
 * No token is lost: `tokens.used` = `tokens.inSequences` + the sum of `tokens.dropped`, and
 * `tokens.inSequences` + `separators` + `begins` + `padding` = sequences × tokens of a sequence.
 */
export interface PlanStats {
  /** Rows of the corpus. */
  documents: number
  /** Documents that take part in the plan. */
  poolDocuments: number
  /** Documents that do not take part. Each is counted once, under the first cause that applies. */
  excluded: ExcludedDocuments
  /** Keyword lists of the pool, by kind. All 0 for methods other than `quest`. */
  keywords: KeywordListCounts
  /**
   * How often an epoch uses each short list, given or solved for `shortShare`. Null without a
   * short list.
   */
  oversample: number | null
  /** Passes over the pool. */
  epochs: number
  /** Groups of documents that the method put together, over all epochs. */
  groups: number
  /** Sequences of the plan. */
  sequences: number
  /** Sequences that `tokens` asked for and no further epoch could fill. */
  sequencesMissing: number
  /** Sequences by the rule that filled them. */
  rules: RuleCounts
  /** Tokens by where they ended up. */
  tokens: TokenCounts
  /** Distinct groups in a sequence. */
  groupsPerSequence: CountDistribution
  /** Distinct documents in a sequence. */
  documentsPerSequence: CountDistribution
  /**
   * Documents of the pool by how often they begin in the plan: entry n counts those that begin
   * n times.
   */
  documentsByUses: number[]
  /** Pieces of documents in sequences. */
  pieces: PieceCounts
  /** Tokens by source, in byte order of the sources' names. One entry without `sourceField`. */
  sources: SourceTokens[]
  /**
   * Documents left out because they begin almost like the one before them, over all epochs
   * (`iclm`, variant `release`).
   */
  nearDuplicates: number
  /** Long documents of the pool (`long`). */
  long: LongCounts
  /** Topics and their documents (`topics`). */
  topics: TopicCounts
}

/** A loaded query predictor. */
export interface PredictorInfo {
  /** The kind of predictor: `extractive` or `onnx`. */
  name: PredictorName
  /** The execution provider in use, `cpu` or `cuda:N`. Null for a predictor without a model. */
  device: string | null
  /** Layout and precision of the model. Null for a predictor without one. */
  model: string | null
  /** Why `device: 'auto'` did not take a GPU, where one could have been there. Else null. */
  warning: string | null
}

/** How queries are predicted. */
export type PredictorName = 'extractive' | 'precomputed' | 'onnx'

/** The predictor that made the queries. */
export interface PredictorSummary {
  /** The kind of predictor. */
  name: PredictorName
  /**
   * Execution providers that were used, `cpu` or `cuda:N`. Empty for a predictor without a
   * model.
   */
  devices: string[]
  /** Layout and precision of the model. Null for a predictor without one. */
  model: string | null
}

/** The unit of a stage's progress. */
export type ProgressUnit = 'bytes' | 'tokens' | 'documents' | 'vectors' | 'sequences' | 'tasks'

/** Columns on the pieces of each sequence: all of them, the documents' ids alone, or none. */
export type Provenance = 'full' | 'ids' | 'none'

/** Use of documents in a report. */
export interface ReportDocuments {
  /** Documents of the corpus. */
  corpus: number
  /** Documents that take part in the plan. */
  pool: number
  /** Documents left out because their text equals that of another one (`dedup`). */
  duplicates: number
  /** Documents left out because their text resembles that of another one (`dedup: near`). */
  nearDuplicates: number
  /**
   * Documents of the pool by how often they begin in the plan: entry n counts those that begin
   * n times.
   */
  byUses: number[]
}

/** Keyword lists of the pool by kind. A list holds the documents of one keyword. */
export interface ReportKeywords {
  /** Lists with fewer documents than a group needs. */
  singletons: number
  /** Lists of the short set, which an epoch uses `oversample` times. */
  short: number
  /** Lists of the long set, which an epoch uses once. */
  long: number
  /** Documents of the short set. */
  shortDocuments: number
  /** Tokens of the short set's documents, each document once. */
  shortTokens: number
  /** How often an epoch uses each short list. Null without a short list. */
  oversample: number | null
  /** Lists by number of documents, in ranges that double. */
  sizes: ListSizeRange[]
  /** Documents of the corpus by language, most documents first. */
  languages: LanguageCounts[]
}

/** A piece of a report's sequence: a run of tokens of one document. */
export interface ReportPiece {
  /** The document's id. */
  docId: string
  /** First token of the piece in the sequence, from 0. */
  start: number
  /** Tokens of the piece, its separator included. */
  length: number
  /** First token of the piece in its document, from 0. */
  docOffset: number
  /**
   * The keyword, topic, or id of the document that brought the piece. Null where it came by
   * chance.
   */
  reason: string | null
  /** The plan's number of the group that brought the piece. */
  group: number
  /** The document's source. Null without `sourceField`. */
  source: string | null
  /** The text that the piece begins with. */
  text: string
  /** Whether the piece has more text than `text`. */
  textCut: boolean
}

/** Measures of a sample of sequences. */
export interface ReportSample {
  /** Sequences of the sample. */
  sequences: number
  /** Cosine of pairs of documents in a sequence, 0 to 1. */
  similarity: SampledMeasure
  /** Share of a sequence's documents that nearly repeat an earlier one, 0 to 1. */
  nearDuplicates: SampledMeasure
  /**
   * Mean distinct runs of n tokens ÷ all runs of n tokens in a sequence, for n = 1, 2, 3, 4.
   * Null where the sample is empty.
   */
  distinct: [number | null, number | null, number | null, number | null]
}

/** A sequence of a report, to be read. */
export interface ReportSequence {
  /** The sequence's number in the output, from 0. */
  index: number
  /** Tokens of the sequence before its padding. */
  tokenCount: number
  /** The rule that filled the sequence. */
  rule: Rule
  /** The phrase that all its documents share, where `fill: related` found one. Else null. */
  phrase: string | null
  /** The pieces of the sequence in order. */
  pieces: ReportPiece[]
}

/**
 * The rule that filled a sequence: `group` with one group, `next` with leftovers in random order,
 * `related` with leftovers of related keywords, `pad` with one leftover and padding, `last` with
 * what an epoch left incomplete and padding.
 */
export type Rule = 'group' | 'next' | 'related' | 'pad' | 'last'

/** Sequences by the rule that filled them. */
export interface RuleCounts {
  /** Filled by one group. */
  group: number
  /** Filled by leftovers in random order. */
  next: number
  /** Filled by leftovers of related keywords. */
  related: number
  /** One group's leftover, padded. */
  pad: number
  /** Incomplete at the end of an epoch, padded. */
  last: number
}

/** An event of a run. */
export type RunEvent =
  | {
      type: 'stage'
      /** The stage that the event is about. */
      stage: Stage
      /** `started`, `reused` (all its results exist already) or `done`. */
      state: 'started' | 'reused' | 'done'
      /** Tasks that the stage is divided into. */
      tasks: number
      /** The stage's place among the stages of the run, from 1. */
      number: number
      /** Stages that the run has. */
      stages: number
      /** Seconds since the run began. */
      seconds: number
    }
  | {
      type: 'progress'
      /** The stage that the event is about. */
      stage: Stage
      /** Units done. A resumed run counts only what was left. */
      done: number
      /** Units to do. */
      total: number
      /** The unit of `done` and `total`. */
      unit: ProgressUnit
      /** Seconds since the run began. */
      seconds: number
      /** Seconds left of the stage at the rate so far. Null while too little is done for a rate. */
      etaSeconds: number | null
    }
  | {
      type: 'warning'
      /** The warning in words. */
      message: string
    }

/**
 * `report.json` of an output directory: what its plan did, and measures of a sample of its
 * sequences. docs/report.md defines each number.
 */
export interface RunReport {
  /** The version of this file's format. */
  format: 2
  /** The version of longweave that wrote it. */
  version: string
  /** The method that composed the sequences. */
  method: MethodName
  /** `main`, or `holdout` for the output of the held-out documents. */
  part: 'main' | 'holdout'
  /** The options of the run that decide results, without the corpus' place. */
  options: Record<string, unknown>
  /** Tokens of a sequence. */
  length: number
  /** Sequences of the output. */
  sequences: number
  /** Documents of the corpus and of the pool. */
  documents: ReportDocuments
  /** Tokens by where they ended up. */
  tokens: TokenCounts
  /** Shares that follow from the plan. */
  shares: Shares
  /** Pieces of documents in sequences. */
  pieces: PieceCounts
  /**
   * Documents left out because they begin almost like the one before them (`iclm`, variant
   * `release`).
   */
  nearDuplicatesLeftOut: number
  /** Distinct documents in a sequence. */
  documentsPerSequence: Distribution
  /** Distinct groups in a sequence. */
  groupsPerSequence: Distribution
  /** Sequences by the rule that filled them. */
  rules: RuleCounts
  /** Keyword lists of the pool. Null for methods without keywords. */
  keywords: ReportKeywords | null
  /** Topics and their documents. Null for methods without topics. */
  topics: TopicCounts | null
  /** Tokens by source. Null without `sourceField`. */
  sources: SourceMix | null
  /** Measures of a sample of sequences. */
  sample: ReportSample
  /** Sequences of the sample with their text, to be read. */
  browse: ReportSequence[]
}

/**
 * The state of a run: `prepared` (nothing was begun), `running`, `stopped` (no process works on
 * it, and the last one ended in order), `interrupted` (a person or program cancelled it), `failed`
 * (the last process ended with an error), `killed` (the last process ended without writing so) or
 * `finished`.
 */
export type RunState = 'prepared' | 'running' | 'stopped' | 'interrupted' | 'failed' | 'killed' | 'finished'

/** The state of a run, read from its directories alone. */
export interface RunStatus {
  /** The output directory, as the caller named it. */
  directory: string
  /** The work directory. */
  work: string
  /** The method that composes the sequences. */
  method: MethodName
  /** Tokens of a sequence. */
  length: number
  /** The state of the whole run. */
  state: RunState
  /** The process that drives the run. Null where no process does. */
  driver: DriverProcess | null
  /** The run's stages in order. */
  stages: StageStatus[]
  /** Seconds during which at least one process worked on the run. */
  elapsedSeconds: number
  /** Seconds left. Null unless they are known for every stage. */
  etaSeconds: number | null
  /** The last error in the log. Null where there is none. */
  lastError: LogMessage | null
  /** The last warning in the log. Null where there is none. */
  lastWarning: LogMessage | null
  /** Sizes of the run's directories. */
  disk: DiskUse
}

/** Measures of a sample of sequences, each averaged over the sample. docs/report.md defines them. */
export interface SampleSummary {
  /** Sequences of the sample. */
  sequences: number
  /**
   * Cosine of pairs of documents in a sequence, 0 to 1. Null where no sequence has two
   * documents.
   */
  similarity: number | null
  /**
   * Share of a sequence's documents that nearly repeat an earlier one, 0 to 1. Null where no
   * sequence has two documents.
   */
  nearDuplicates: number | null
  /** Distinct runs of n tokens ÷ all runs of n tokens in a sequence, for n = 1, 2, 3, 4. */
  distinct: [number, number, number, number]
  /**
   * Jensen–Shannon divergence between the sources of the pool and of the output, in bits, 0 to
   * 1. Null without sources.
   */
  divergence: number | null
}

/** A measure of the sampled sequences. */
export interface SampledMeasure {
  /** Mean over the sequences that have a value. Null where none has. */
  mean: number | null
  /**
   * The value of each sampled sequence, in the same order for every measure. Null for a sequence
   * with fewer than two documents.
   */
  values: (number | null)[]
}

/** How a sequence was planned. */
export interface SequenceOrigin {
  /** The rule that filled the sequence. */
  rule: Rule
  /** The rule as a sentence. */
  text: string
  /** The phrase that all its documents share, where `fill: related` found one. Else null. */
  phrase: string | null
  /** The epoch that the sequence was planned in, from 0. */
  epoch: number
  /** The round of that epoch in which it was finished, from 0. */
  round: number
  /** The seed of every draw. */
  seed: number
}

/** Shares that follow from a plan, each from 0 to 1. */
export interface Shares {
  /** Documents' tokens in sequences of one keyword ÷ documents' tokens in sequences. */
  singleKeyword: number
  /** Tokens of the short set in sequences ÷ documents' tokens in sequences. */
  shortSet: number
  /** Tokens that were used and are in no sequence ÷ tokens that were used. */
  dropped: number
  /** Padding ÷ all tokens of all sequences. */
  padding: number
}

/** A piece of a shown sequence: a run of tokens of one document. */
export interface ShownPiece {
  /** The document's id. Null for an output without provenance. */
  docId: string | null
  /** First token of the piece in the sequence, from 0. */
  start: number
  /** Tokens of the piece, its separator included. */
  length: number
  /** First token of the piece in its document, from 0. */
  docOffset: number
  /**
   * The keyword, topic, or id of the document that brought the piece. Null where it came by
   * chance, and for an output without full provenance.
   */
  reason: string | null
  /**
   * The plan's number of the group that brought the piece. Null for an output without full
   * provenance.
   */
  group: number | null
  /** The piece's first tokens as text. Null where no tokenizer is at hand. */
  text: string | null
  /** The pass that planned the group. Null unless asked for. */
  pass: GroupPass | null
}

/** A sequence of an output, with the text that its pieces begin with. */
export interface ShownSequence {
  /** The sequence's number in the output, from 0. */
  index: number
  /** Sequences of the output. */
  sequences: number
  /** Tokens of a sequence, padding included. */
  sequenceLength: number
  /** Tokens of this sequence before its padding. */
  tokenCount: number
  /** The pieces of the sequence in order. */
  pieces: ShownPiece[]
  /** How the sequence was planned. Null unless asked for. */
  why: SequenceOrigin | null
}

/** Tokens by source, in the pool and in the output. The lists are equally long. */
export interface SourceMix {
  /** Names of the sources, in byte order. */
  names: string[]
  /** Tokens of each source in the pool. */
  pool: number[]
  /** Tokens of each source in the output. */
  output: number[]
  /** Jensen–Shannon divergence of the two, in bits: 0 where they are the same, at most 1. */
  divergence: number
}

/** Tokens of the documents of one source, without separators and begin tokens. */
export interface SourceTokens {
  /** In the pool, each document once. */
  pool: number
  /** In the plan's sequences. */
  inSequences: number
  /** The share of an epoch's virtual tokens that `sources` asks for. Null without `sources`. */
  wanted: number | null
  /** The part of the source's documents that an epoch uses, 0 to 1. */
  rate: number
}

/** Special tokens that are written in the text of documents. */
export interface SpecialTextCounts {
  /** Documents whose text contains one. */
  documents: number
  /** Places where one is written. */
  occurrences: number
  /** Ids of the first ten of these documents, cut after 200 characters. */
  first: string[]
}

/** A special token that a run uses. */
export interface SpecialToken {
  /** Its use: the option that names it. */
  option: 'separator' | 'bosToken' | 'padToken' | 'partEnd' | 'partBegin'
  /** The token as the vocabulary writes it. */
  token: string
  /** Its id in sequences. */
  id: number
  /** The reason why it was taken: the option, a file of the model, or its name. */
  by: string
}

/** A stage of a prepared run, for a scheduler that hands out its tasks. */
export interface StageInfo {
  /** The stage's name. */
  stage: Stage
  /**
   * Tasks that the stage is divided into, numbered from 0. Null while its inputs are not
   * complete.
   */
  tasks: number | null
  /** Tasks that are done. */
  done: number
  /** The tasks that are not, as ranges without their end, in order. */
  open: TaskRange[]
  /** Stages that must be complete before a task can run. */
  dependsOn: Stage[]
  /** The resources of one task. */
  resources: TaskResources
  /** The command line that runs one task, to be completed by the task's number. */
  command: string
}

/** The tasks and bytes of one stage. */
export interface StagePlan {
  /** The stage's name. */
  stage: Stage
  /** Tasks that the stage is divided into. Null while its inputs are not complete. */
  tasks: number | null
  /** Tasks whose results exist and will be reused. */
  done: number
  /** The directory of its results. Null where a temporary one is made. */
  directory: string | null
  /** Bytes of its results, estimated. Null where the size of the corpus is unknown. */
  bytes: number | null
}

/** The state of a stage. */
export interface StageStatus {
  /** The stage's name. */
  stage: Stage
  /**
   * `waiting` (a stage that it reads is not complete), `open` (tasks are left and no process
   * works on them), `running` or `done`.
   */
  state: 'waiting' | 'open' | 'running' | 'done'
  /** Tasks that the stage is divided into. Null while its inputs are not complete. */
  tasks: number | null
  /** Tasks that are done. */
  done: number
  /** Tasks that a living process of this machine works on. */
  running: number
  /** Tasks leased to a process of another machine that has not reported for a while. */
  elsewhere: number
  /** The unit of `unitsDone` and `unitsTotal`. */
  unit: ProgressUnit
  /** Units done, those of running tasks included. Null while the inputs are not complete. */
  unitsDone: number | null
  /** Units of the whole stage. Null while the inputs are not complete. */
  unitsTotal: number | null
  /** Units per second, all processes together. Null before any is done. */
  rate: number | null
  /** Seconds during which at least one process worked on the stage. Null before any did. */
  seconds: number | null
  /** Seconds left at `rate`. Null where the stage is done or the rate unknown. */
  etaSeconds: number | null
}

/** A driver that was asked to stop, and ended. */
export interface StoppedDriver {
  /** The id of its process. */
  process: number
  /** Its machine. */
  host: string
}

/**
 * The outcome of a run. Parts that were not reached, or do not belong to the run, are null: a
 * prepared run has neither `corpus` nor `plan`.
 */
export interface Summary {
  /** The version of longweave that made it. */
  version: string
  /** The method that composed the sequences. */
  method: MethodName
  /** The output directory. Null for the format `memory`. */
  directory: string | null
  /** The format of the output. */
  format: OutputFormat
  /** Tokens of a sequence. */
  length: number
  /** The encoder that reads the tokenizer.json. */
  encoder: string
  /** The special tokens that are used, and how each was found. */
  specialTokens: SpecialToken[]
  /** Counts of the corpus. Null until every row was read. */
  corpus: CorpusCounts | null
  /** The predictor of queries. Null for methods without keywords. */
  predictor: PredictorSummary | null
  /** Counts of keywords. Null for methods without keywords. */
  keywords: KeywordSummary | null
  /** The vectors of documents or chunks. Null for runs without vectors. */
  vectors: VectorSummary | null
  /** The search for nearest neighbours. Null for methods without neighbours. */
  neighbours: NeighbourSummary | null
  /** The list of topics. Null for methods without topics. */
  topics: TopicSummary | null
  /** Counts of the plan. */
  plan: PlanStats | null
  /** Shares that follow from the plan. */
  shares: Shares | null
  /** Means that follow from the plan. */
  means: Means | null
  /** Measures of a sample of sequences; `report.json` has more. Null for the format `memory`. */
  sample: SampleSummary | null
  /** Counts of the held-out documents' plan. Null without `holdout`. */
  holdout: PlanStats | null
  /** Files with sequences and their provenance. 0 until they are packed. */
  files: number
  /** Bytes of these files. */
  bytes: number
  /** Seconds that this call took. */
  seconds: number
  /** Sentences that a person should read before using the output. */
  warnings: string[]
}

/** The tasks `from..to`. */
export interface TaskRange {
  /** The first. */
  from: number
  /** The first that is left out. */
  to: number
}

/** A task that is done. */
export interface TaskRecord {
  /** The stage's name. */
  stage: Stage
  /** The task's number in the stage, from 0. */
  task: number
  /**
   * Counts that the task left for later stages. Their names depend on the stage and are not
   * part of the public interface.
   */
  counts: Record<string, unknown>
  /** Files that the task wrote. */
  files: FileRecord[]
}

/** The resources of one task. */
export interface TaskResources {
  /** Threads that the task can use. 0 for as many as it is given. */
  threads: number
  /** Bytes of heap, estimated. */
  memoryBytes: number
  /**
   * Bytes of metadata and vectors that the process of a task holds in addition, estimated. Null
   * until `ingest` is complete.
   */
  metadataBytes: number | null
  /** GPUs. 0 unless the options name one. */
  gpus: number
}

/** Tokens of a plan. Those of documents exclude separators and begin tokens. */
export interface TokenCounts {
  /** Tokens of the pool's documents, each document once. */
  pool: number
  /** Tokens of the pool's documents, each as often as the plan used it. */
  used: number
  /** Tokens of documents in the plan's sequences. */
  inSequences: number
  /** Tokens of documents that were used and are in no sequence. */
  dropped: DroppedTokens
  /** Tokens of separators in the plan's sequences. */
  separators: number
  /** Begin tokens in the plan's sequences, of documents and of sequences. */
  begins: number
  /** Tokens of markers between parts of documents (`interleave`) in the plan's sequences. */
  partMarkers: number
  /** Padding tokens in the plan's sequences. */
  padding: number
  /** Tokens of documents in sequences whose documents all have the same representative keyword. */
  inSingleKeywordSequences: number
  /** Tokens of the short set's documents in the plan's sequences. */
  ofShortSet: number
  /**
   * Tokens of sequences, padding left out, by the tokens of their piece before them: entry n
   * counts those with 2ⁿ − 1 to 2ⁿ⁺¹ − 2. A begin token of a sequence belongs to the first piece.
   */
  byContext: number[]
}

/** Topics and the documents found for them; 0 for methods other than `topics`. */
export interface TopicCounts {
  /** Length of the list. */
  topics: number
  /** Topics that have a document of the pool. */
  withDocuments: number
  /** Documents of the pool that no topic has. */
  documentsInNone: number
  /** Tokens of topics' documents beyond `method.sequences`, over all epochs. */
  beyondSequences: number
}

/** Where topics come from. */
export type TopicSource = 'keywords' | 'file' | 'command'

/** The list of topics. Counts of the plan say how many have documents. */
export interface TopicSummary {
  /** Where it comes from. */
  source: TopicSource
  /** Length of the list. */
  topics: number
  /** Lines of the list that were left out because an earlier one has the same name. */
  repeated: number
}

/** Files and directories below the corpus that are not read for the same reason. */
export interface Unread {
  /** Why they are not read. */
  reason: UnreadReason
  /** The pattern that they match, the ending of their names (empty for none), or nothing. */
  name: string
  /** How many there are; a directory counts once. */
  count: number
  /** The first of their paths below the root. */
  examples: string[]
}

/** Why a file is not read. */
export type UnreadReason = 'ownFile' | 'output' | 'skipped' | 'card' | 'kind'

/** Where vectors of documents or chunks come from. */
export type VectorSource = 'tfidf' | 'onnx' | 'file'

/** The vectors of documents, or of chunks for `nextlong`. */
export interface VectorSummary {
  /** The maker of the vectors. */
  source: VectorSource
  /** Execution providers that were used, `cpu` or `cuda:N`. Empty for a source without a model. */
  devices: string[]
  /** Numbers of a vector. */
  dimensions: number
  /** Documents or chunks that have a vector. */
  vectors: number
  /**
   * Documents or chunks that have none: they have no token, share no word with another, or are
   * missing from the file of vectors.
   */
  zeroVectors: number
}

/** Counts of a verified output. Everything counted was checked and is intact. */
export interface VerifyReport {
  /** Files, including `longweave.json` and `SHA256SUMS`. */
  files: number
  /** Bytes of these files. */
  bytes: number
  /** Sequences, each of exactly the output's length. */
  sequences: number
  /** Tokens of all sequences, padding included. */
  tokens: number
  /** Pieces of documents in sequences. 0 for an output without provenance. */
  pieces: number
  /** The output of the held-out documents, in the folder `holdout`. Null without one. */
  holdout: VerifyReport | null
}
