// The real planner against the slow one, piece by piece, on random small corpora with random options.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LongweaveError, readSequences, weave } from '../ts/index.ts'
import { referencePlan } from './reference/planner.ts'
import type { Doc, Options } from './reference/planner.ts'
import { folder, randomCorpus, randomNumbers, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)
const rounds = process.env['LONGWEAVE_FULL'] === '1' ? 400 : 60

function randomOptions(seed: number): Options {
  const random = randomNumbers(seed * 7919 + 1)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  const method = pick(['quest', 'quest', 'quest', 'standard'] as const)
  return {
    method, pool: pick(['keyworded', 'all'] as const), splitRatio: random(), splitBy: pick(['keywords', 'documents', 'tokens'] as const), oversample: 1 + 3 * random(),
    shortShare: pick([null, null, 0.05 + 0.6 * random()]), minGroup: pick([1, 2, 3]), fill: method === 'standard' ? pick(['next', 'drop', 'pad'] as const) : pick(['next', 'related', 'drop', 'pad'] as const),
    length: 2 + Math.floor(random() * 80), lead: pick([0, 1]), sep: pick([0, 1, 2]), sequenceBos: false, overflow: pick(['split', 'truncate', 'whole'] as const),
    lastFill: pick(['drop', 'pad'] as const), tokens: pick([null, null, 1 + Math.floor(random() * 4000)]), seed: Math.floor(random() * 2 ** 40), maxUses: pick([null, 1, 2, 3]),
    minTokens: pick([1, 3]), maxTokens: pick([null, 30]),
  }
}

test(`plans agree with the reference planner on ${rounds} random corpora`, async () => {
  let compared = 0
  for (let seed = 0; seed < rounds; seed += 1) {
    const options = randomOptions(seed)
    if (options.lead === 0 && seed % 3 === 0) options.sequenceBos = true
    const corpus = randomCorpus(seed, 5 + (seed % 50), 40)
    const path = writeJsonl(join(directory, `corpus-${seed}.jsonl`), corpus)
    const { length, tokens, seed: drawSeed, overflow, lastFill, maxUses, minTokens, maxTokens } = options
    const { pool, splitRatio, splitBy, oversample, shortShare, minGroup, fill } = options
    const out = join(directory, `out-${seed}`)
    const run = weave({
      corpus: path, idField: 'id', queryField: 'query', tokenizer, queries: { predictor: 'precomputed' }, keywords: { nonInformative: 'none', hierarchy: 'suffix' },
      method: options.method === 'quest' ? { name: 'quest', pool, splitRatio, splitBy, oversample, shortShare, minGroup, fill } : { name: 'standard', pool, fill: fill as 'next' },
      length, tokens, seed: drawSeed, overflow, lastFill, maxUses, minTokens, maxTokens, bos: options.lead === 1 ? 'document' : options.sequenceBos ? 'sequence' : 'none',
      separator: options.sep === 0 ? 'none' : options.sep === 1 ? 'auto' : 'text:w1 w2', output: { directory: out, format: 'jsonl' }, threads: 1,
    })
    const docs: Doc[] = corpus.map(({ id, text, query }) => ({ id, tokens: text.split(' ').length, keyword: query[0] ?? null }))
    const expected = await referencePlan(docs, options)
    try {
      await run.finished
    } catch (error) {
      if (error instanceof LongweaveError && ['PLAN_EMPTY', 'NO_KEYWORDS'].includes(error.code)) {
        expect(expected, `seed ${seed}`).toEqual([])
        continue
      }
      throw error
    }
    const found: string[][] = []
    for await (const { doc_ids, doc_offsets, doc_lens } of readSequences(out)) found.push(doc_ids.map((id, i) => `${id}@${doc_offsets[i]}+${doc_lens[i]}`))
    const wanted = expected.map(({ pieces }) => pieces.map(({ doc, start, len }) => `${doc.id}@${Math.max(0, start - options.lead)}+${len}`))
    expect(found, `seed ${seed}: ${JSON.stringify(options)}`).toEqual(wanted)
    compared += wanted.length
  }
  expect(compared).toBeGreaterThan(rounds)
}, 600_000)
