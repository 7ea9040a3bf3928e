// Layout of a sequence's pieces in its band, in pixels. The band takes several rows where one would make pieces too narrow.

/** Pieces narrower than this, on average, go into several rows. */
const LEAST_WIDTH = 15
const MOST_ROWS = 10
const GAP = 4

/** A rectangle of a piece: a piece has one in each row that it reaches into. */
export interface Part {
  row: number
  x: number
  y: number
  width: number
  height: number
}

/** A band of a width for sequences of `length` tokens. */
export interface Band {
  height: number
  /** The rectangles of a range of tokens. */
  parts: (start: number, len: number) => Part[]
}

/** The band in which `pieces` pieces have room. */
export function bandOf(pieces: number, length: number, width: number): Band {
  const rows = Math.min(MOST_ROWS, Math.max(1, Math.ceil((pieces * LEAST_WIDTH) / width)))
  const height = rows === 1 ? 40 : 24
  const tokens = length / rows
  return {
    height: rows * (height + GAP),
    parts(start, len) {
      const parts: Part[] = []
      for (let row = Math.floor(start / tokens); row < rows && row * tokens < start + len; row += 1) {
        const [from, to] = [
          Math.max(start, row * tokens) - row * tokens,
          Math.min(start + len, (row + 1) * tokens) - row * tokens,
        ]
        // A little is left free, which sets neighbours apart; the shortest piece is still seen.
        const wide = Math.max(1, ((to - from) / tokens) * width - 1.5)
        if (to > from)
          parts.push({ row, x: (from / tokens) * width, y: row * (height + GAP) + GAP / 2, width: wide, height })
      }
      return parts
    },
  }
}

/** The widest of a piece's rectangles, where its name goes. */
export function widest(parts: Part[]): Part | undefined {
  return parts.toSorted((a, b) => b.width - a.width)[0]
}

/** The pixel in the middle of a rectangle. */
export const middle = (part: Part | undefined) => (part === undefined ? 0 : part.x + part.width / 2)
