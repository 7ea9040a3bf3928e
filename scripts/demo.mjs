// From a fresh clone to long-context sequences: sets up, makes a corpus of the Brown texts, trains a tokenizer on them, weaves
// sequences of 8,192 tokens with Quest, and shows what came out. A second call reuses everything and takes seconds.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { brown } from './brown.mjs'
import { root, run, setUp } from './setup.mjs'

const folder = join('out', 'demo')
const corpus = join(folder, 'brown.jsonl')
const tokenizer = join(folder, 'tokenizer.json')
const output = join(folder, 'quest')

setUp()
console.log('\n▸ The corpus: Brown corpus, 500 texts of 1961 in 15 genres, cut at paragraphs')
console.log(`  ${brown(join(root, corpus))} documents in ${corpus}`)
const longweave = (title, ...args) => run(title, process.execPath, [join('dist', 'cli', 'main.js'), ...args])
if (!existsSync(join(root, tokenizer))) {
  run('A BPE tokenizer of 8,192 tokens, trained on the spot', process.execPath, [
    join('scripts', 'tokenizer.mjs'),
    corpus,
    tokenizer,
    '8192',
  ])
}
const input = ['--corpus', corpus, '--id-field', 'id', '--source-field', 'source', '--tokenizer', tokenizer]
longweave('Quest sequences of 8,192 tokens', 'run', ...input, '--method', 'quest', '--length', '8192', '--out', output)
longweave('The keywords with most documents', 'keywords', output, '--top', '10')
longweave('One sequence: documents that share a keyword', 'show', output, '--why')
longweave('Every checksum, length and piece, checked again', 'verify', output)
console.log(`
The sequences are in ${output}. Read them with pyarrow, DuckDB, Polars or datasets, or from Node with longweave itself.
Next: longweave show ${output} 0 · longweave report ${output} · longweave help run`)
