// The arranger: the section "Arranging: one function" of docs/planning.md.
import { sortBy } from './random.ts'
import type { Method, Options, Piece } from './types.ts'

export interface Arranger {
  docIdOf(piece: Piece): number
  /** Takes a finished sequence. */
  finish(pieces: Piece[], rule: string): void
  /** Ends an open sequence by `incomplete`. */
  end(open: Piece[]): void
}

/** Units of the queue found not eligible after which a pass ends. */
const MISSES = 64

/** Whether a method's groups are made of chunks. */
export const isOfParts = (method: Method) =>
  method.name === 'interleave' ||
  method.name === 'nextlong' ||
  (method.name === 'topics' && method.within === 'nextlong')

const length = (pieces: Piece[]) => pieces.reduce((sum, p) => sum + p.len, 0)

/** Whether two pieces cannot share a sequence: of parts of documents they share a token, else a document. */
export const clash = (a: Piece, b: Piece, ofParts: boolean) =>
  a.doc === b.doc && (!ofParts || (a.start < b.start + b.len && b.start < a.start + a.len))

/** Lays `units` into sequences of `C` virtual tokens, beginning with `open`; returns what stays open. */
export function arrange(
  units: Piece[][],
  open: Piece[],
  rule: string,
  C: number,
  o: Options,
  { docIdOf, finish, end }: Arranger,
): Piece[] {
  const clashes = (piece: Piece, held: Piece[]) => held.some((other) => clash(piece, other, isOfParts(o.method)))
  if (o.overflow === 'whole') {
    const rest: Piece[] = []
    if (rule === 'group' && length(units.flat()) <= C) {
      if (length(units.flat()) < C) return units.flat()
      finish(units.flat(), rule)
      return []
    }
    for (const piece of units.flat()) {
      let { start, len } = piece
      for (; len >= C; start += C, len -= C) finish([{ doc: piece.doc, start, len: C }], rule)
      if (len > 0) rest.push({ doc: piece.doc, start, len })
    }
    const bins: Piece[][] = open.length > 0 ? [open] : []
    for (const piece of sortBy(rest, (p) => [-p.len, docIdOf(p), p.start])) {
      const fits = bins.filter((bin) => C - length(bin) >= piece.len && !clashes(piece, bin))
      const best = sortBy(fits, (bin) => [C - length(bin)])[0]
      if (best === undefined) bins.push([piece])
      else best.push(piece)
    }
    const unfinished = bins.filter((bin) => length(bin) < C)
    const most = Math.max(...unfinished.map((bin) => C - length(bin)))
    const left = unfinished.findLast((bin) => C - length(bin) === most)
    for (const bin of bins) if (bin !== left) finish(bin, rule)
    return left ?? []
  }

  let now = [...open]
  /** Lays a unit down; whether it finished a sequence. */
  const lay = (unit: Piece[]) => {
    let finished = false
    for (const piece of unit) {
      let { start, len } = piece
      while (len > 0) {
        const take = Math.min(len, C - length(now))
        now.push({ doc: piece.doc, start, len: take })
        start += take
        len -= take
        if (length(now) === C) {
          finish(now, rule)
          now = []
          finished = true
          if (o.overflow === 'truncate') len = 0
        }
      }
    }
    return finished
  }
  const queue: Piece[][] = []
  const eligible = (unit: Piece[]) => !unit.some((piece) => clashes(piece, now))
  /** Goes through the queue once; how many units it laid down. */
  const pass = () => {
    let laid = 0
    let missed = 0
    while (missed < Math.min(MISSES, queue.length)) {
      const unit = queue[missed] as Piece[]
      if (eligible(unit)) {
        queue.splice(missed, 1)
        lay(unit)
        laid += 1
      } else missed += 1
    }
    return laid
  }
  for (const unit of units) {
    if (!eligible(unit)) queue.push(unit)
    else if (lay(unit)) pass()
  }
  while (queue.length > 0) {
    if (pass() > 0) continue
    end(now)
    now = []
  }
  return now
}
