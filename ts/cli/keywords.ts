// longweave keywords.
import { isStopList } from '../generated/stop-lists.ts'
import { openRun } from '../prepared.ts'
import { json as jsonFlag, runDirectory } from './command.ts'
import type { Command } from './command.ts'
import { UsageError, parse, wholeNumber } from './parse.ts'
import { inline, jsonLine, printable } from './text.ts'

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
  group: 'read',
  summary: "a run's most frequent keywords, or RAKE keywords of lines from stdin",
  details: `With RUN: the keywords with most documents. Review them before a large run: add those that do not describe a document to --boilerplate-phrases and run again; only the index and what follows it is computed again.

Without RUN: reads queries from stdin, one a line, and prints a line of keywords with their scores for each.`,
  positionals: [{ ...runDirectory, optional: true }],
  flags: {
    top: { value: 'N', description: 'With RUN: how many keywords to print.', default: '50' },
    'stop-words': {
      value: 'LIST',
      description: `Without RUN: words that end a phrase: auto (the list of each line's language), smart or fox (English), a language's code, or a file with one word a line.`,
      default: 'auto',
    },
    language: {
      value: 'CODE',
      description: 'Without RUN: language of the lines, by its code; auto detects that of each.',
      default: 'auto',
    },
    'min-score': { value: 'N', description: 'Without RUN: least score of a keyword.', default: '3' },
    json: jsonFlag,
  },
  options: null,
  json: 'With RUN, KeywordCount[]; without it, Keyword[] for each line',
  examples: [
    'longweave keywords out --top 100',
    "echo 'what is the capital city of northern ireland' | longweave keywords",
  ],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const json = values['json'] === true
    const directory = positionals[0]
    if (directory !== undefined) {
      const run = await openRun(directory)
      const list = await run.topKeywords({ limit: wholeNumber(values['top'], '--top') })
      const width = Math.max(9, ...list.map(({ documents }) => String(documents).length))
      const rows = [
        `${'documents'.padStart(width)}  keyword`,
        ...list.map(({ keyword, documents }) => `${String(documents).padStart(width)}  ${inline(keyword)}`),
      ]
      process.stdout.write(json ? jsonLine(list) : printable(`${rows.join('\n')}\n`))
      return
    }
    if (process.stdin.isTTY) throw new UsageError('give RUN, or queries on stdin', this.name)
    const minScore = Number(values['min-score'])
    if (Number.isNaN(minScore))
      throw new UsageError(`--min-score must be a number, but is "${String(values['min-score'])}"`)
    const [words, language] = [String(values['stop-words']), String(values['language'])]
    // Its schema is needed for queries alone.
    const { Rake } = await import('../rake.ts')
    const rake =
      words === 'auto' || isStopList(words)
        ? new Rake({ stopWords: words, language, minScore })
        : await Rake.open({ stopWordsFile: words, language, minScore })
    for await (const line of lines()) {
      const found = rake.extract(line)
      const text = found.map(({ phrase, score }) => `${phrase} (${Number(score.toFixed(3))})`).join(', ')
      process.stdout.write(json ? jsonLine(found) : printable(`${text}\n`))
    }
  },
}
