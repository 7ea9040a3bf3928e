// The runs of the page, each with the colour and the symbol that it has everywhere.
import * as Plot from '@observablehq/plot'
import type { ReportSequence, PageData, PageRun } from '../run-report.ts'
import { squeeze } from './format.ts'

/** A run as the page shows it. */
export interface Run extends PageRun {
  /** The label where there is little room. */
  short: string
  colour: string
  symbol: Plot.SymbolType
  browse: ReportSequence[]
  leftOut: number
}

// Runs differ by shape as well as by colour; app.css holds the colours.
const symbols = [
  'circle',
  'square',
  'triangle',
  'diamond',
  'star',
  'wye',
  'cross',
  'hexagon',
] as const satisfies Plot.SymbolType[]

/** The runs of the page's data. */
export function runsOf({ runs, browse, leftOut }: PageData): Run[] {
  return runs.map((run, i) => ({
    ...run,
    short: squeeze(run.label, 22),
    colour: `var(--run-${i % symbols.length})`,
    // A ninth run has the first one's colour, and another symbol.
    symbol: symbols[(i + Math.floor(i / symbols.length)) % symbols.length] ?? 'circle',
    browse: browse[i] ?? [],
    leftOut: leftOut[i] ?? 0,
  }))
}

/** A run's symbol in its colour, for use next to its name. */
export function swatch({ colour, symbol }: Run): Element {
  const mark = Plot.plot({
    width: 14,
    height: 14,
    margin: 0,
    axis: null,
    marks: [Plot.dot([0], { frameAnchor: 'middle', symbol, r: 5, fill: colour })],
  })
  mark.setAttribute('class', 'swatch')
  mark.setAttribute('aria-hidden', 'true')
  return mark
}
