// The programs of benches/node: they call the built package, and nothing checks their types.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folder, root } from './support.ts'

const place = folder()

function node(program: string, ...rest: string[]): string {
  const { status, stdout, stderr } = spawnSync('node', [join(root, 'benches/node', program), ...rest], {
    encoding: 'utf8',
  })
  expect(status, stderr).toBe(0)
  return stdout
}

test('candidates are those of the queries of each document', () => {
  const [corpus, out] = [join(place, 'corpus.jsonl'), join(place, 'out')]
  const texts = ['Steam engines drove cotton mills until steam engines were sold.', 'the of and']
  writeFileSync(corpus, texts.map((text, i) => `${JSON.stringify({ id: String(i), text })}\n`).join(''))
  node('candidates.mjs', corpus, out)
  const [first, second, last] = readFileSync(out, 'utf8').split('\n')
  expect(first?.split('\t')).toContain('steam engines')
  expect([second, last]).toEqual(['', ''])
})

test('RAKE is measured in batches and question by question', () => {
  const lines = join(place, 'lines')
  writeFileSync(lines, 'what drove cotton mills\nwho sold steam engines\n')
  const { queries, ...seconds } = JSON.parse(node('rake.mjs', lines)) as { queries: number } & Record<string, number[]>
  expect(queries).toBe(2)
  expect(Object.keys(seconds)).toEqual(['seconds', 'withPhrases', 'oneByOne'])
})
