// longweave keywords.
import { topKeywords } from '../output.ts'
import { Rake } from '../rake.ts'
import type { Command } from './commands.ts'
import { inline, jsonLine, printable } from './text.ts'
import { UsageError, parse, wholeNumber } from './usage.ts'

/** Lines of stdin. They end at "\n" alone: texts may hold other characters that count as line ends elsewhere. */
async function* lines(): AsyncGenerator<string, void, undefined> {
  let rest = ''
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
  if (rest !== '') yield rest
}

export const keywordsCommand: Command = {
  name: 'keywords',
  summary: "RAKE keywords of lines from stdin, or a run's most frequent keywords",
  usage: 'longweave keywords < QUERIES    |    longweave keywords --run OUT --top N',
  details: `Lines in, for each a line of keywords with their scores. Of a run: the keywords with most documents, for review before going on; name those that
say nothing in --boilerplate-phrases and run again, which repeats only index, plan and pack.`,
  flags: {
    run: { type: 'string', description: 'output directory of a run' },
    top: { type: 'string', description: 'how many keywords of the run', default: '50' },
    'stop-words': { type: 'string', description: 'smart, fox, or a file with one word a line', default: 'smart' },
    'min-score': { type: 'string', description: 'least score', default: '3' },
    json: { type: 'boolean', description: 'as JSON' },
  },
  options: null,
  examples: [
    "echo 'what is the capital city of northern ireland' | longweave keywords",
    'longweave keywords --run out --top 100',
  ],
  async run(args) {
    const { values } = parse(args, this.flags)
    const json = values['json'] === true
    if (typeof values['run'] === 'string') {
      const list = topKeywords(values['run'], wholeNumber(values['top'], '--top'))
      const width = Math.max(9, ...list.map(({ documents }) => String(documents).length))
      const rows = [
        `${'documents'.padStart(width)}  keyword`,
        ...list.map(({ keyword, documents }) => `${String(documents).padStart(width)}  ${inline(keyword)}`),
      ]
      process.stdout.write(json ? jsonLine(list) : printable(`${rows.join('\n')}\n`))
      return
    }
    const minScore = Number(values['min-score'])
    if (Number.isNaN(minScore))
      throw new UsageError(`--min-score must be a number, but is "${String(values['min-score'])}"`)
    const rake = new Rake({ stopWords: String(values['stop-words']), minScore })
    for await (const line of lines()) {
      const found = rake.extract(line)
      const text = found.map(({ phrase, score }) => `${phrase} (${Number(score.toFixed(3))})`).join(', ')
      process.stdout.write(json ? jsonLine(found) : printable(`${text}\n`))
    }
  },
}
