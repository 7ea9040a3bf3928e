// A byte-level BPE tokenizer trained on a corpus, for the demo, the README's programs and tests; its texts are held in memory.
// As a program: node scripts/tokenizer.mjs CORPUS TOKENIZER.json [TOKENS]
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/** Writes a tokenizer.json of `vocabSize` tokens to `out`; it knows <|endoftext|> and <|pad|>. */
export async function trainTokenizer({ corpus, out, vocabSize = 8192, textField = 'text' }) {
  const binding = createRequire(import.meta.url)('../binding/index.cjs')
  const specialTokens = ['<|endoftext|>', '<|pad|>']
  const options = { corpus: [corpus], out, vocabSize, minFrequency: 2, specialTokens, textField }
  return JSON.parse(await binding.trainTokenizer(JSON.stringify(options), new binding.Cancellation()))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [corpus, out, tokens = '8192'] = process.argv.slice(2)
  if (corpus === undefined || out === undefined)
    throw new Error('usage: node scripts/tokenizer.mjs CORPUS TOKENIZER.json [TOKENS]')
  const { file, documents } = await trainTokenizer({ corpus, out, vocabSize: Number(tokens) })
  console.log(`  ${tokens} tokens from ${documents} documents in ${file}`)
}
