// Pieces of a sequence in words and colours.
import type { ReportPiece, ReportSequence } from '../run-report.ts'
import { count, counted, percent } from './format.ts'
import { groupName, isPath, reasonName } from './methods.ts'

/** Hues of bands in app.css. */
const HUES = 8

/** Documents of a sequence that something brought together, and their colour. */
export interface Kin {
  name: string
  colour: string
  pieces: number
  tokens: number
}

/** The kin of each piece: documents of one keyword, anchor or path share a colour; those that came by chance are grey. */
export function kinOf(method: string, pieces: ReportPiece[]): Kin[] {
  const reasons = new Map<number, string>()
  for (const { group, reason } of pieces) if (reason !== null && !reasons.has(group)) reasons.set(group, reason)
  const found = new Map<unknown, Kin>()
  let hue = 0
  return pieces.map(({ group, reason, length }) => {
    const chance = reason === null && !reasons.has(group) && !isPath(method)
    const key = chance ? null : group
    let kin = found.get(key)
    if (kin === undefined) {
      const name = chance ? 'nothing in common' : (reason ?? reasons.get(group) ?? groupName(method))
      kin = { name, colour: chance ? 'var(--band-grey)' : `var(--band-${hue % HUES})`, pieces: 0, tokens: 0 }
      if (!chance) hue += 1
      found.set(key, kin)
    }
    kin.pieces += 1
    kin.tokens += length
    return kin
  })
}

/** The description of a piece, in parts. */
export function facts(method: string, piece: ReportPiece, { tokenCount }: ReportSequence): string[] {
  return [
    ...(piece.reason === null ? [] : [reasonName(method, piece.reason)]),
    ...(piece.source === null ? [] : [`source ${piece.source}`]),
    `${counted(piece.length, 'token')}, ${percent(piece.length / tokenCount)}`,
    `from token ${count(piece.start)} of the sequence`,
    ...(piece.docOffset > 0 ? [`begins at its token ${count(piece.docOffset)}`] : []),
  ]
}
