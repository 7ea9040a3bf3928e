// longweave report.
import { report } from '../report.ts'
import type { WrittenReport } from '../report.ts'
import { json, runDirectory } from './command.ts'
import type { Command } from './command.ts'
import { parse } from './parse.ts'
import { jsonLine, printable } from './text.ts'
import { bytes as size } from './units.ts'

function describe({ file, bytes, runs }: WrittenReport): string {
  const total = (of: 'sequences' | 'leftOut') => runs.reduce((sum, run) => sum + run[of], 0)
  const left = total('leftOut')
  const lines = [
    `${file}: ${runs.map(({ label }) => label).join(', ')}; ${total('sequences')} sequences to read; ${size(bytes)}`,
  ]
  if (left > 0) lines.push(`${left} more sequences to read were left out, which keeps the page below 20 MB`)
  return `${lines.join('\n')}\n`
}

export const reportCommand: Command = {
  name: 'report',
  group: 'read',
  summary: 'finished outputs next to each other on one page: measures, plots, sequences',
  details: `One HTML file that needs no network: how related and how redundant the documents of a sequence are, which documents and tokens were used, and sequences with their texts. It is made from the report.json that each finished run has written.`,
  positionals: [{ ...runDirectory, multiple: true, description: 'output directories to compare' }],
  flags: {
    out: {
      value: 'FILE',
      description: 'File to write; an earlier report is replaced, another file is not.',
      default: 'report.html',
    },
    json,
  },
  options: null,
  json: 'WrittenReport',
  examples: [
    'longweave report out',
    'longweave report out-standard out-knn out-quest --out compared.html',
    'longweave report out out/holdout',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const written = await report(positionals, { out: String(values['out']) })
    process.stdout.write(values['json'] === true ? jsonLine(written) : printable(describe(written)))
  },
}
