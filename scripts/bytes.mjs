// The bytes that every method and format make of a corpus, as a line each, to compare two versions:
//   node scripts/bytes.mjs FOLDER CORPUS TOKENIZER [ID_FIELD] >before.txt
// The hash is of SHA256SUMS, which holds the hash of each file of the output. `FOLDER` is emptied; the addon and dist/ are those of this clone.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fail, root } from './setup.mjs'

const methods = {
  quest: [],
  'quest paper': ['--preset', 'paper'],
  standard: ['--overflow', 'split'],
  'standard whole': ['--method', 'standard', '--overflow', 'whole'],
  knn: [],
  iclm: [],
  'iclm release': ['--method', 'iclm', '--iclm-variant', 'release'],
  long: ['--long-threshold', '1000'],
  nextlong: ['--chunk-chars', '1024'],
  topics: ['--topic-documents', '64'],
  'topics nextlong': ['--method', 'topics', '--topic-within', 'nextlong', '--chunk-chars', '1024'],
  interleave: [],
}
const formats = ['parquet', 'mds', 'megatron', 'datatrove', 'numpy', 'datasets', 'litdata', 'jsonl']

const [folder, corpus, tokenizer, idField] = process.argv.slice(2)
if (tokenizer === undefined) fail('usage: node scripts/bytes.mjs FOLDER CORPUS TOKENIZER [ID_FIELD]')
rmSync(folder, { recursive: true, force: true })
for (const [name, flags] of Object.entries(methods)) {
  for (const format of formats) {
    const out = join(folder, `${name}-${format}`.replaceAll(' ', '-'))
    const args = [join(root, 'dist', 'cli', 'main.js'), 'run', '--corpus', corpus, '--tokenizer', tokenizer]
    if (idField !== undefined) args.push('--id-field', idField)
    if (!flags.includes('--method') && !flags.includes('--preset')) args.push('--method', name)
    args.push('--length', '2048', '--holdout', '0.1', '--work', join(folder, 'work'), '--format', format)
    const { status, stderr } = spawnSync(process.execPath, [...args, '--out', out, ...flags], { encoding: 'utf8' })
    if (status !== 0) fail(`${name}, ${format}: ended with ${status}\n${stderr}`)
    const sums = readFileSync(join(out, 'SHA256SUMS'))
    console.log(`${name.padEnd(16)} ${format.padEnd(10)} ${createHash('sha256').update(sums).digest('hex')}`)
  }
}
