// The virtual tokens of a document, written out one by one, and its parts: the sections "Documents" and "interleave" of docs/planning.md.
import type { Doc, Method, Options, Piece } from './types.ts'

/** A virtual token: the part that it is in, whether it is the document's own, and the offset of a piece that begins with it. */
interface Token {
  part: number
  own: boolean
  offset: number
}

type Shape = Pick<Options, 'lead' | 'sep'> & { method: Method }

/** The document's own tokens before each part, then all of them. */
function cuts(method: Method, n: number): number[] {
  if (method.name !== 'interleave') return [0, n]
  const { parts, partTokens } = method
  if (partTokens !== null)
    return Array.from({ length: Math.ceil(n / partTokens) + 1 }, (_, i) => Math.min(n, i * partTokens))
  const count = Math.min(parts, n)
  return Array.from({ length: count + 1 }, (_, i) => Math.floor((n * i) / count))
}

/** All virtual tokens of a document. */
export function virtualTokens({ method, lead, sep }: Shape, { words }: Doc): Token[] {
  const ends = cuts(method, words.length)
  const { partEnd = 0, partBegin = 0 } = method.name === 'interleave' ? method : {}
  const tokens: Token[] = []
  for (let part = 0; part + 1 < ends.length; part += 1) {
    const [from, to] = [ends[part] as number, ends[part + 1] as number]
    const isLast = part + 2 === ends.length
    for (let i = 0; i < (part === 0 ? lead : partBegin); i += 1) tokens.push({ part, own: false, offset: from })
    for (let at = from; at < to; at += 1) tokens.push({ part, own: true, offset: at })
    for (let i = 0; i < (isLast ? sep : partEnd); i += 1) tokens.push({ part, own: false, offset: to + i })
  }
  return tokens
}

/** A piece cut where its parts end. */
export function partsOf(shape: Shape, { doc, start, len }: Piece): Piece[] {
  const pieces: Piece[] = []
  let last = -1
  for (const [i, { part }] of virtualTokens(shape, doc)
    .slice(start, start + len)
    .entries()) {
    if (part !== last) pieces.push({ doc, start: start + i, len: 0 })
    const piece = pieces.at(-1)
    if (piece !== undefined) piece.len += 1
    last = part
  }
  return pieces
}

/** The document's tokens before a piece, as provenance tells them. */
export function offsetOf(shape: Shape, { doc, start, len }: Piece): number {
  const tokens = virtualTokens(shape, doc).slice(start, start + len)
  return (tokens.find(({ own }) => own) ?? tokens[0])?.offset ?? 0
}
