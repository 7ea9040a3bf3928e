// Vectors, lists and chunks: the sections "Neighbours" and the first lines of "nextlong" of docs/planning.md.
import { sortBy } from './random.ts'
import type { Doc } from './types.ts'

/** A chunk of a document: the document's own tokens `from` to `to`. */
export interface Chunk {
  doc: Doc
  from: number
  to: number
}

function whole(vector: Float32Array): number[] | null {
  if (!vector.every((x) => Number.isFinite(x))) return null
  const norm = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0))
  if (norm === 0) return null
  return Array.from(vector, (x) => {
    const scaled = (x / norm) * 2 ** 14
    return Math.sign(scaled) * Math.round(Math.abs(scaled))
  })
}

export interface Neighbours {
  /** For each number those of its list, in order. */
  lists: number[][]
  similarity(i: number, j: number): number
}

/** The list of each vector; `related` says which others it may not hold; it never holds itself. */
export function neighboursOf(vectors: Float32Array[], k: number, apart: (i: number, j: number) => boolean): Neighbours {
  const kept = vectors.map(whole)
  const similarity = (i: number, j: number) => {
    const [a, b] = [kept[i] ?? null, kept[j] ?? null]
    return a === null || b === null ? 0 : a.reduce((sum, x, at) => sum + x * (b[at] as number), 0)
  }
  const lists = kept.map((_, i) => {
    const others = kept.map((_vector, j) => ({ j, s: similarity(i, j) })).filter(({ j, s }) => s > 0 && apart(i, j))
    return sortBy(others, ({ j, s }) => [-s, j])
      .slice(0, k)
      .map(({ j }) => j)
  })
  return { lists, similarity }
}

/** All chunks, through the documents in order. A token decoded by itself is its word (see the tokenizer of the test), some of which end with a newline. */
export function chunksOf(docs: Doc[], chunkChars: number): Chunk[] {
  return docs.flatMap((doc) => {
    const lines: (Chunk & { characters: number })[] = []
    let from = 0
    let characters = 0
    for (const [i, word] of doc.words.entries()) {
      characters += [...word].length
      if (word.includes('\n') || characters >= 2 * chunkChars || i === doc.words.length - 1) {
        lines.push({ doc, from, to: i + 1, characters })
        from = i + 1
        characters = 0
      }
    }
    const chunks: typeof lines = []
    for (const line of lines) {
      const last = chunks.at(-1)
      if (last !== undefined && last.characters + line.characters <= chunkChars)
        chunks.splice(-1, 1, { ...last, to: line.to, characters: last.characters + line.characters })
      else chunks.push(line)
    }
    return chunks
  })
}
