// longweave keywords.
import { createInterface } from 'node:readline'
import { topKeywords } from '../output.ts'
import { Rake } from '../rake.ts'
import type { Command } from './commands.ts'
import { parse, wholeNumber } from './usage.ts'

export const keywordsCommand: Command = {
  name: 'keywords',
  summary: "RAKE keywords of lines from stdin, or a run's most frequent keywords",
  usage: 'longweave keywords < QUERIES    |    longweave keywords --run OUT --top N',
  details: `Lines in, for each a line of keywords with their scores. Of a run: the keywords with most documents, for review before going on; name those that
say nothing in --extra-non-informative and run again, which repeats only index, plan and pack.`,
  flags: {
    run: { type: 'string', description: 'output directory of a run' },
    top: { type: 'string', description: 'how many keywords of the run', default: '50' },
    'stop-words': { type: 'string', description: 'smart, fox, or a file with one word a line', default: 'smart' },
    'min-score': { type: 'string', description: 'least score', default: '3' },
    json: { type: 'boolean', description: 'as JSON' },
  },
  takesOptions: false,
  examples: ["echo 'what is the capital city of northern ireland' | longweave keywords", 'longweave keywords --run out --top 100'],
  async run(args) {
    const { values } = parse(args, this.flags)
    const json = values['json'] === true
    if (typeof values['run'] === 'string') {
      const list = topKeywords(values['run'], wholeNumber(values['top'], '--top'))
      const width = Math.max(9, ...list.map(({ documents }) => String(documents).length))
      const rows = [`${'documents'.padStart(width)}  keyword`, ...list.map(({ keyword, documents }) => `${String(documents).padStart(width)}  ${keyword}`)]
      process.stdout.write(json ? `${JSON.stringify(list)}\n` : `${rows.join('\n')}\n`)
      return
    }
    const rake = new Rake({ stopWords: String(values['stop-words']), minScore: Number(values['min-score']) })
    for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
      const found = rake.extract(line)
      process.stdout.write(json ? `${JSON.stringify(found)}\n` : `${found.map(({ phrase, score }) => `${phrase} (${Number(score.toFixed(3))})`).join(', ')}\n`)
    }
  },
}
