// What tests share: folders that vanish, a tokenizer whose tokens are words, small corpora.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** A folder that is removed after the tests of the file. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'longweave-test-'))
  afterAll(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A tokenizer.json that splits at white space: `w0` … `w99` are ids 2 … 101, others unknown. */
export function wordTokenizer(directory: string): string {
  const vocab: Record<string, number> = { '<|endoftext|>': 0, '<pad>': 1, '<s>': 102, '<unk>': 103 }
  for (let i = 0; i < 100; i += 1) vocab[`w${i}`] = i + 2
  const special = (content: string) => ({ id: vocab[content], content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })
  const file = {
    version: '1.0', truncation: null, padding: null, normalizer: null, post_processor: null, decoder: null,
    added_tokens: ['<|endoftext|>', '<pad>', '<s>', '<unk>'].map(special),
    pre_tokenizer: { type: 'WhitespaceSplit' },
    model: { type: 'WordLevel', vocab, unk_token: '<unk>' },
  }
  const path = join(directory, 'words.json')
  writeFileSync(path, JSON.stringify(file))
  return path
}

/** Numbers from a seed, the same everywhere (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A document of a test corpus: `tokens` words and, where it has one, a keyword as its query. */
export interface TestDocument {
  id: string
  text: string
  query: string[]
}

const subjects = ['player', 'engine', 'river', 'bridge', 'garden', 'planet']
const kinds = ['football', 'steam', 'mountain', 'wooden', 'winter', 'silver', 'chess', 'brazilian football']

/** A random corpus: lengths from 1 to `most`, keywords that share heads. */
export function randomCorpus(seed: number, documents: number, most: number): TestDocument[] {
  const random = randomNumbers(seed)
  const pick = <T>(list: T[]) => list[Math.floor(random() * list.length)] as T
  return Array.from({ length: documents }, (_, i) => {
    const length = 1 + Math.floor(random() * most)
    const text = Array.from({ length }, () => `w${Math.floor(random() * 100)}`).join(' ')
    return { id: `doc-${i}`, text, query: random() < 0.12 ? [] : [`${pick(kinds)} ${pick(subjects)}`] }
  })
}

/** Writes documents as JSONL. */
export function writeJsonl(path: string, rows: object[]): string {
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

/** Names and contents of an output's own files, without what tells of inputs and of the run. */
export function outputBytes(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter((name) => /\.(parquet|mds|jsonl|zst)$/.test(name) || name === 'index.json').toSorted()
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name)).toString('base64')]))
}
