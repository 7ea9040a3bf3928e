// Sequences in memory: token ids as Uint32Array, provenance in the words of the Parquet columns.
import type { Batch } from '#binding'

/** What the pieces of a sequence are. Lists are equally long; a list that the output does not tell is empty. */
export interface Pieces {
  /** Tokens before padding. */
  n_tokens: number
  /** The document of each piece. */
  doc_ids: string[]
  /** Where each piece begins in the sequence, in tokens. */
  doc_starts: number[]
  /** Tokens of each piece, its separator included. */
  doc_lens: number[]
  /** Where each piece begins in its document, in tokens. */
  doc_offsets: number[]
  /** Why each piece is there: a keyword, or null. */
  reasons: (string | null)[]
  /** The plan's number of the group that brought each piece. */
  groups: number[]
}

/** A batch of sequences. */
export interface SequenceBatch {
  /** `sequences · length` token ids, sequence after sequence. */
  inputIds: Uint32Array
  /** Tokens of a sequence. */
  length: number
  /** Number of sequences. */
  sequences: number
  /** Provenance of each sequence. */
  pieces: Pieces[]
}

/** One sequence. */
export interface Sequence extends Pieces {
  /** Its number in the output, from 0. */
  number: number
  /** Exactly `length` token ids. */
  inputIds: Uint32Array
}

export function toBatch({ inputIds, length, sequences, pieces }: Batch): SequenceBatch {
  return { inputIds, length, sequences, pieces: JSON.parse(pieces) as Pieces[] }
}

/** The sequences of a batch, the first of which has the number `first`. Token ids are views, not copies. */
export function* unbatch(batch: SequenceBatch, first: number): Generator<Sequence> {
  for (const [i, pieces] of batch.pieces.entries()) {
    yield { number: first + i, inputIds: batch.inputIds.subarray(i * batch.length, (i + 1) * batch.length), ...pieces }
  }
}
