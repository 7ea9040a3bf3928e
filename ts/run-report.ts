// report.json of an output directory, and the part of it that a page of several runs holds.
import type { ReportSequence, RunReport } from './generated/results.ts'

export type {
  Distribution,
  ListSizeRange,
  ReportPiece,
  ReportSequence,
  RunReport,
  SampledMeasure,
} from './generated/results.ts'

/** The format of report.json that this version reads. */
export const REPORT_FORMAT = 2 satisfies RunReport['format']

/** A run in the page: its name there, and its report without the sequences to read. */
export interface PageRun {
  label: string
  directory: string
  report: Omit<RunReport, 'browse'>
}

/** The data of a page. `browse` and `leftOut` (sequences that did not fit) are by run. */
export interface PageData {
  version: string
  runs: PageRun[]
  browse: ReportSequence[][]
  leftOut: number[]
}
