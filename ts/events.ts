// What a run tells while it runs, and what it came to. The names are the core's.
import type { ResolvedOptions } from './schema.ts'

/** The stages of a run. */
export type Stage =
  | 'spool'
  | 'scan'
  | 'ingest'
  | 'documents'
  | 'predict'
  | 'extract'
  | 'embed'
  | 'vectors'
  | 'index'
  | 'neighbours'
  | 'plan'
  | 'report'
  | 'route'
  | 'scatter'
  | 'pack'
  | 'seal'

/** A stage begins, was found done, or ends. */
export interface StageEvent {
  type: 'stage'
  stage: Stage
  state: 'started' | 'reused' | 'done'
  /** Its tasks. */
  tasks: number
  /** Its place among the stages of the run, from 1. */
  number: number
  /** Stages of the run. */
  stages: number
  /** Seconds since the run began. */
  seconds: number
}

/** How far a stage is. */
export interface ProgressEvent {
  type: 'progress'
  stage: Stage
  done: number
  total: number
  unit: 'bytes' | 'tokens' | 'documents' | 'vectors' | 'sequences' | 'tasks'
  /** Seconds since the run began. */
  seconds: number
  /** Seconds left of the stage at the rate so far; null while too little is known. Of a run that goes on, only what is left counts. */
  etaSeconds: number | null
  /** Seconds left of the run; null unless the stages that come after can be estimated too. */
  runEtaSeconds: number | null
}

/** Something a person should know. */
export interface WarningEvent {
  type: 'warning'
  message: string
}

/** An event of a run. */
export type RunEvent = StageEvent | ProgressEvent | WarningEvent

/** Counts of a plan; see docs/planning.md. Tokens in sequences + dropped = used. */
export interface PlanStats {
  documents: number
  poolDocuments: number
  excluded: {
    empty: number
    tooShort: number
    tooLong: number
    otherPart: number
    withoutKeyword: number
    duplicate: number
  }
  keywords: {
    singletons: number
    short: number
    long: number
    shortDocuments: number
    shortTokens: number
    sizes: { singletons: number; short: number; long: number }[]
  }
  oversample: number | null
  epochs: number
  groups: number
  sequences: number
  sequencesMissing: number
  rules: { group: number; next: number; related: number; pad: number; last: number }
  tokens: {
    pool: number
    used: number
    inSequences: number
    dropped: { truncate: number; fill: number; incomplete: number; budget: number }
    separators: number
    begins: number
    padding: number
    inSingleKeywordSequences: number
    ofShortSet: number
  }
  groupsPerSequence: { sum: number; max: number; histogram: number[] }
  documentsPerSequence: { sum: number; max: number; histogram: number[] }
  documentsByUses: number[]
  pieces: { total: number; cut: number }
  /** Tokens by source, in byte order of name. */
  sources: { pool: number; inSequences: number }[]
  nearDuplicates: number
  long: { documents: number; tokens: number }
}

/** What a run came to. */
export interface Summary {
  version: string
  method: ResolvedOptions['method']['name']
  directory: string | null
  format: ResolvedOptions['output']['format']
  length: number
  encoder: string
  corpus: {
    files: number
    rows: number
    documents: number
    empty: number
    rejected: number
    renamed: number
    bytes: number
    tokens: number
  } | null
  /** What predicted the queries, and the execution providers that were really used. */
  predictor: { name: 'extractive' | 'precomputed' | 'onnx'; devices: string[]; model: string | null } | null
  keywords: { withQuery: number; withCandidate: number; withKeyword: number; distinct: number } | null
  /** What made the vectors of documents or chunks, and the execution providers that were really used. */
  vectors: {
    source: 'tfidf' | 'onnx' | 'file'
    devices: string[]
    dimensions: number
    vectors: number
    zeroVectors: number
  } | null
  /** How neighbours were looked for; the recall, 0 to 1, is counted on a sample, null where all pairs were compared. */
  neighbours: { search: 'exact' | 'inverted'; k: number; mean: number; recall: number | null; sampled: number } | null
  plan: PlanStats | null
  /** Shares from 0 to 1, and two means. */
  shares: {
    singleKeyword: number
    shortSet: number
    dropped: number
    padding: number
    groupsPerSequence: number
    documentsPerSequence: number
  } | null
  /** What was measured on a sample of sequences, see docs/report.md; `divergence` is that of the sources, in bits. */
  sample: {
    sequences: number
    similarity: number | null
    nearDuplicates: number | null
    distinct: [number, number, number, number]
    divergence: number | null
  } | null
  holdout: PlanStats | null
  files: number
  bytes: number
  seconds: number
  warnings: string[]
}
