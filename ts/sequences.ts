// Sequences in memory: token ids and the columns of their pieces as typed arrays.
import type { NativeBatch, NativeStrings } from '#binding'

/** A run of one document's tokens in a sequence. */
export interface Piece {
  /** Id of the document. */
  docId: string
  /** First token of the piece in the sequence. */
  start: number
  /** Tokens of the piece, its separator included. */
  length: number
  /** First token of the piece in its document; above 0 where an earlier part of the document lies elsewhere. */
  docOffset: number
  /** Why the piece is there: a keyword, or the id of the document that it is a neighbour of; null where it came by chance. */
  reason: string | null
  /** The plan's number of the group that brought the piece. */
  group: number
}

/** One sequence. */
export interface Sequence {
  /** Its number in the output, from 0. */
  index: number
  /** Exactly `sequenceLength` token ids: a view of its batch's. */
  inputIds: Uint32Array
  /** Tokens before padding. */
  tokenCount: number
  /** Ids of its documents in order; empty for an output with `provenance: "none"`. */
  docIds: string[]
  /** Its pieces in order; empty unless the output has full provenance. */
  pieces: Piece[]
}

/** The length of a string that is absent. */
const ABSENT = 2 ** 32 - 1

/** The strings of a column, which are transferred as one. */
function strings({ text, lengths }: NativeStrings): (string | null)[] {
  let at = 0
  return Array.from(lengths, (length) => (length === ABSENT ? null : text.slice(at, (at += length))))
}

/**
 * Sequences, one behind the other, with the pieces of all of them as columns: `docIds`, `starts` and the others have an entry a piece, and
 * sequence `i` of the batch has the pieces `pieceOffsets[i]` to `pieceOffsets[i + 1]`. An output with `provenance: "ids"` has only `docIds`,
 * one with `"none"` no pieces.
 *
 * @example
 * ```ts
 * import { openOutput } from 'longweave'
 *
 * await using output = await openOutput('out')
 * for await (const batch of output.batches({ end: 2 }))
 *   for (let i = 0; i < batch.length; i += 1) {
 *     const [from, to] = [batch.pieceOffsets[i], batch.pieceOffsets[i + 1]]
 *     console.log(batch.starts.subarray(from, to), batch.docIds.slice(from, to))
 *   }
 * ```
 */
export class SequenceBatch implements Iterable<Sequence> {
  /** Number in the output of the first sequence. */
  readonly firstIndex: number
  /** Number of sequences. */
  readonly length: number
  /** Tokens of a sequence. */
  readonly sequenceLength: number
  /** Token ids, `length · sequenceLength`. */
  readonly inputIds: Uint32Array
  /** Tokens of each sequence before padding. */
  readonly tokenCounts: Uint32Array
  /** Index of each sequence's first piece, and the number of pieces: `length + 1` entries. */
  readonly pieceOffsets: Uint32Array
  /** First token of each piece in its sequence. */
  readonly starts: Uint32Array
  /** Tokens of each piece, its separator included. */
  readonly lengths: Uint32Array
  /** First token of each piece in its document. */
  readonly docOffsets: Uint32Array
  /** The plan's number of each piece's group. */
  readonly groups: Uint32Array
  readonly #native: { docIds: NativeStrings; reasons: NativeStrings }
  #docIds: string[] | undefined
  #reasons: (string | null)[] | undefined

  /** @internal */
  constructor(native: NativeBatch, firstIndex: number) {
    this.firstIndex = firstIndex
    this.length = native.tokenCounts.length
    this.sequenceLength = native.sequenceLength
    this.inputIds = native.inputIds
    this.tokenCounts = native.tokenCounts
    this.pieceOffsets = native.pieceOffsets
    this.starts = native.starts
    this.lengths = native.lengths
    this.docOffsets = native.docOffsets
    this.groups = native.groups
    this.#native = { docIds: native.docIds, reasons: native.reasons }
  }

  /** Document of each piece. */
  get docIds(): string[] {
    return (this.#docIds ??= strings(this.#native.docIds) as string[])
  }

  /** Reason of each piece, see `Piece`. */
  get reasons(): (string | null)[] {
    return (this.#reasons ??= strings(this.#native.reasons))
  }

  /**
   * A sequence of the batch.
   * @param i its place in the batch, from 0
   * @throws RangeError for a place that the batch does not have
   */
  get(i: number): Sequence {
    const [from, to, tokenCount] = [this.pieceOffsets[i], this.pieceOffsets[i + 1], this.tokenCounts[i]]
    if (from === undefined || to === undefined || tokenCount === undefined) {
      throw new RangeError(`the batch has ${this.length} sequences; there is no sequence ${i}`)
    }
    const docIds = this.docIds.slice(from, to)
    const pieces = this.starts.length === 0 ? [] : docIds.map((docId, j) => this.#piece(docId, from + j))
    const inputIds = this.inputIds.subarray(i * this.sequenceLength, (i + 1) * this.sequenceLength)
    return { index: this.firstIndex + i, inputIds, tokenCount, docIds, pieces }
  }

  #piece(docId: string, at: number): Piece {
    return {
      docId,
      start: this.starts[at] ?? 0,
      length: this.lengths[at] ?? 0,
      docOffset: this.docOffsets[at] ?? 0,
      reason: this.reasons[at] ?? null,
      group: this.groups[at] ?? 0,
    }
  }

  /** The sequences in order. */
  *[Symbol.iterator](): Generator<Sequence, void, undefined> {
    for (let i = 0; i < this.length; i += 1) yield this.get(i)
  }
}
