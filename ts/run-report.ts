// report.json of an output directory, and what of it a page of several runs holds. docs/report.md defines each measure.

/** Format of report.json that this version reads. */
export const REPORT_FORMAT = 1

/** How a number is spread over sequences. */
export interface Spread {
  mean: number
  max: number
  /** Sequences with 1, 2, 3–4, 5–8, 9–16 … */
  histogram: number[]
}

/** A measure of the sampled sequences; null where none has two documents. */
export interface Sampled {
  mean: number | null
  /** By sampled sequence, the same order for every measure; null for one that has a single document. */
  values: (number | null)[]
}

/** Keyword lists with `from` to `to` documents, by what they are. */
export interface ListSizes {
  from: number
  to: number
  singletons: number
  short: number
  long: number
}

/** A document's place in a sequence, with its text there. */
export interface BrowsedPiece {
  id: string | null
  /** What brought it: a keyword, or the id of an anchor or neighbour; null where it came by chance. */
  reason: string | null
  source: string | null
  /** Tokens: where it begins in the sequence, how many, where it begins in the document. */
  start: number
  len: number
  offset: number
  group: number | null
  text: string | null
  /** Whether the text goes on beyond what is kept here. */
  textCut: boolean
}

/** A sequence to read. */
export interface BrowsedSequence {
  sequence: number
  nTokens: number
  rule: string
  /** What all its documents share, where `fill: related` found that. */
  phrase: string | null
  pieces: BrowsedPiece[]
}

/** report.json of a run: shares are from 0 to 1. */
export interface RunReport {
  format: typeof REPORT_FORMAT
  version: string
  method: string
  part: string
  options: Record<string, unknown>
  length: number
  sequences: number
  /** `byUses`: documents of the pool that are used 0, 1, 2 … times. */
  documents: { corpus: number; pool: number; byUses: number[] }
  tokens: {
    pool: number
    used: number
    inSequences: number
    separators: number
    begins: number
    padding: number
    inSingleKeywordSequences: number
    ofShortSet: number
    dropped: { truncate: number; fill: number; incomplete: number; budget: number }
  }
  shares: { singleKeyword: number; shortSet: number; dropped: number; padding: number }
  /** Runs of documents in sequences, and those of them that are not the whole document. */
  pieces: { total: number; cut: number }
  documentsPerSequence: Spread
  groupsPerSequence: Spread
  /** Sequences by why their pieces stand together. */
  rules: { group: number; next: number; related: number; pad: number; last: number }
  keywords: {
    singletons: number
    short: number
    long: number
    shortDocuments: number
    shortTokens: number
    oversample: number | null
    sizes: ListSizes[]
  } | null
  /** Tokens by source, and the Jensen–Shannon divergence of the two in bits. */
  sources: { names: string[]; pool: number[]; output: number[]; divergence: number } | null
  /** `distinct`: the mean distinct-n of n tokens for n = 1, 2, 3, 4; null where nothing was sampled. */
  sample: { sequences: number; similarity: Sampled; nearDuplicates: Sampled; distinct: (number | null)[] }
  browse: BrowsedSequence[]
}

/** A run in the page: what it is called there, and its report without the sequences to read. */
export interface PageRun {
  label: string
  directory: string
  report: Omit<RunReport, 'browse'>
}

/** What the page is made from; `browse` and `leftOut` (sequences that did not fit) are by run. */
export interface PageData {
  version: string
  runs: PageRun[]
  browse: BrowsedSequence[][]
  leftOut: number[]
}
