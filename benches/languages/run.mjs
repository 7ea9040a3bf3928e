// Ten languages of SIB-200, a sentence a document: `node benches/languages/run.mjs`, after `npm run build`. Prints the table of
// docs/languages.md. Choices were made on the sentences of even number, the table is of those of odd number.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openRun, readDocuments, readSequences, weave } from '../../dist/index.js'

const LANGUAGES = ['zh', 'ja', 'th', 'ar', 'hi', 'ru', 'de', 'fr', 'ko', 'tr', 'en']
/** Tokens of a sequence: about ten sentences. */
const LENGTH = 1024
const data =
  process.env['LONGWEAVE_DATA'] ?? join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'shared', 'data')
const corpus = join(data, 'sib200.jsonl.zst')
const tokenizer = join(data, 'tokenizers', 'gpt2-tokenizer.json')
if (![corpus, tokenizer].every(existsSync)) {
  console.error(`skipped: there is no ${corpus}, or no ${tokenizer}; set LONGWEAVE_DATA`)
  process.exit(0)
}
const parity = process.argv.includes('--even') ? 0 : 1

/** A field of each row. */
async function field(name) {
  const values = []
  for await (const { text } of readDocuments({ corpus, idField: 'id', textField: name })) values.push(text)
  return values
}
const [texts, topics, languages] = [await field('text'), await field('topic'), await field('language')]
const directory = mkdtempSync(join(tmpdir(), 'longweave-languages-'))

/** Weaves documents; the share of pairs of a sequence's documents that have one topic, and the summary. */
async function woven(name, documents, options) {
  const out = join(directory, name)
  const summary = await weave({
    corpus: documents.path,
    idField: 'id',
    tokenizer,
    length: LENGTH,
    incomplete: 'pad',
    padToken: 'token:<|endoftext|>',
    output: { directory: out },
    ...options,
  }).finished
  let [pairs, same] = [0, 0]
  for await (const { pieces } of readSequences(out)) {
    const own = [...new Set([...pieces].map(({ docId }) => docId))].map((id) => documents.topics.get(id))
    own.forEach((topic, i) =>
      own.slice(i + 1).forEach((other) => {
        pairs += 1
        same += Number(topic === other)
      }),
    )
  }
  return { out, summary, coherence: same / pairs }
}

const quest = (keywords) => ({ method: { name: 'quest', pool: 'all', oversample: 1, fill: 'related' }, keywords })
const percent = (share) => `${(100 * share).toFixed(0)} %`
const rows = []
for (const language of LANGUAGES) {
  const own = texts.map((_, i) => i).filter((i) => languages[i] === language)
  const chosen = own.filter((_, nth) => nth % 2 === parity)
  const path = join(directory, `${language}.jsonl`)
  writeFileSync(path, chosen.map((i) => `${JSON.stringify({ id: String(i), text: texts[i] })}\n`).join(''))
  const documents = { path, topics: new Map(chosen.map((i) => [String(i), topics[i]])) }
  const standard = await woven(`${language}-standard`, documents, { method: 'standard' })
  const english = await woven(`${language}-english`, documents, quest({ language: 'en', stopWords: 'smart' }))
  const detected = await woven(`${language}-auto`, documents, quest({}))
  const share = ({ summary }) => percent(summary.keywords.withKeyword / chosen.length)
  const top = await (await openRun(detected.out)).topKeywords({ limit: 5 })
  const right = detected.summary.keywords.languages.find((counts) => counts.language === language)
  rows.push([
    language,
    percent((right?.documents ?? 0) / chosen.length),
    share(english),
    share(detected),
    percent(standard.coherence),
    percent(english.coherence),
    percent(detected.coherence),
    top.map(({ keyword }) => keyword).join(', '),
  ])
}
rmSync(directory, { recursive: true })
const head = [
  'language',
  'recognised',
  'with a keyword, read as English',
  'with a keyword',
  'one topic: standard',
  'quest, read as English',
  'quest',
  'most frequent keywords',
]
for (const cells of [head, head.map(() => '---'), ...rows]) console.log(`| ${cells.join(' | ')} |`)
