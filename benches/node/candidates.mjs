// Candidates of documents as the pipeline makes them, a line for each document, tabs between: `node candidates.mjs CORPUS.jsonl OUT`.
import { readFileSync, writeFileSync } from 'node:fs'
import { QueryPredictor, Rake } from '../../dist/index.js'

const documents = readFileSync(process.argv[2], 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line))
const rake = new Rake({ minScore: 3 })
const lines = []
const predictor = await QueryPredictor.open()
for await (const { queries } of predictor.predict(documents)) {
  const phrases = new Set([...rake.extractBatch(queries)].flat().map(({ phrase }) => phrase))
  lines.push(`${[...phrases].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).join('\t')}\n`)
}
writeFileSync(process.argv[3], lines.join(''))
