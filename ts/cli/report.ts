// longweave report.
import { report } from '../report.ts'
import type { WrittenReport } from '../report.ts'
import type { Command } from './commands.ts'
import { number } from './progress.ts'
import { jsonLine, printable } from './text.ts'
import { parse, required } from './usage.ts'

function describe({ file, bytes, runs }: WrittenReport): string {
  const total = (of: 'sequences' | 'leftOut') => runs.reduce((sum, run) => sum + run[of], 0)
  const left = total('leftOut')
  const lines = [
    `${file}: ${runs.map(({ label }) => label).join(', ')}; ${total('sequences')} sequences to read; ${number(bytes)}B`,
  ]
  if (left > 0) lines.push(`${left} more sequences to read were left out, which keeps the page below 20 MB`)
  return `${lines.join('\n')}\n`
}

export const reportCommand: Command = {
  name: 'report',
  summary: 'finished outputs side by side as a page: measures, plots, sequences to read',
  usage: 'longweave report OUT… [--out report.html]',
  details: `One HTML file that needs no network: how related and how redundant the documents of a sequence are, what became of the corpus, and sequences
with their texts. It is made from the report.json that a finished run has written.`,
  flags: {
    out: { type: 'string', description: 'the file to write; an earlier report is replaced', default: 'report.html' },
    json: { type: 'boolean', description: 'what was written, as JSON' },
  },
  options: null,
  examples: [
    'longweave report out',
    'longweave report out-standard out-knn out-quest --out compared.html',
    'longweave report out out/holdout',
  ],
  async run(args) {
    const { values, positionals } = parse(args, this.flags, { most: Number.POSITIVE_INFINITY })
    required(positionals, 0, 'the output directory')
    const written = await report(positionals, { out: String(values['out']) })
    process.stdout.write(values['json'] === true ? jsonLine(written) : printable(describe(written)))
  },
}
