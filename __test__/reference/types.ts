// Input and output of the reference planner. Lengths are tokens, pieces count virtual tokens.

/** A document: its tokens as the text of each, its keyword, its source. */
export interface Doc {
  id: string
  words: string[]
  keyword: string | null
  source: string
}
export interface Piece {
  doc: Doc
  start: number
  len: number
}
/** Pieces that belong together, and the keyword or topic they have in common. */
export interface Group {
  keyword: string | null
  pieces: Piece[]
}
export interface Sequence {
  pieces: Piece[]
  rule: string
  epoch: number
  round: number
}

type Pool = 'keyworded' | 'all'
type Fill = 'next' | 'drop' | 'pad'
export interface Quest {
  name: 'quest'
  pool: Pool
  splitRatio: number
  splitBy: 'keywords' | 'documents' | 'tokens'
  oversample: number
  shortShare: number | null
  minKeywordDocuments: number
  fill: Fill | 'related'
}
export interface Standard {
  name: 'standard'
  pool: Pool
  fill: Fill
}
export interface Knn {
  name: 'knn'
  pool: Pool
  k: number
  fill: Fill
}
export interface Iclm {
  name: 'iclm'
  pool: Pool
  k: number
  variant: 'paper' | 'release'
  fill: Fill
}
export interface Long {
  name: 'long'
  pool: Pool
  threshold: number
  mode: 'filter' | 'upsample'
  longShare: number
  fill: Fill
}
export interface NextLong {
  name: 'nextlong'
  pool: Pool
  k: number
  chunkChars: number
  reuse: 'sequence' | 'run'
  fill: Fill
}
export interface Topics {
  name: 'topics'
  pool: Pool
  documents: number
  order: 'shuffle' | 'score' | 'reversed'
  sequences: number
  within: 'documents' | 'nextlong'
  k: number
  chunkChars: number
  reuse: 'sequence' | 'run'
  fill: Fill
}
export interface Interleave {
  name: 'interleave'
  pool: Pool
  groupDocuments: number | null
  parts: number
  partTokens: number | null
  /** Tokens of the marker at the end of a part, and at the beginning of one. */
  partEnd: number
  partBegin: number
  partOrder: 'turns' | 'shuffle' | 'shuffleInOrder'
  fill: Fill
}
export type Method = Quest | Standard | Knn | Iclm | Long | NextLong | Topics | Interleave

/** A topic and how it is searched for. */
export interface Topic {
  name: string
  query: string
}

export interface Options {
  method: Method
  length: number
  lead: number
  sep: number
  sequenceBos: boolean
  overflow: 'split' | 'truncate' | 'whole'
  incomplete: 'drop' | 'pad'
  tokens: number | null
  seed: number
  maxUses: number | null
  minTokens: number
  maxTokens: number | null
  holdout: number
  dedup: 'none' | 'exact' | 'near'
  keep: 'longest' | 'first'
  /** The weight of each source, or null. */
  sources: Record<string, number> | null
  /** The lengths that share the documents; empty where `length` has them all. */
  lengths: { length: number; share: number }[]
}
