// Reports of runs that never were, plausible enough to look at: what `longweave report` reads.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ReportPiece, ReportSequence, RunReport, SampledMeasure, Distribution } from '../ts/index.ts'
import { randomNumbers } from './support.ts'

/** Text that would do harm where it were taken for anything but text. */
export const hostile = [
  '</script><script>window.hostile = 1</script>',
  '<img src=x onerror="window.hostile = 2">',
  '<!--<script>',
  '\u2028\u2029',
  '\ud83e\uddf5\ud83d\udc69\u200d\ud83d\udd2c',
  '\u202egnihton\u202c',
  '&lt;b&gt;',
  '"\'`${1}',
  '\u0000\u001b[31m',
  '\ud800',
  'ﷺ',
  'x'.repeat(300),
]

/** Values in which the methods differ: similarity, near-duplicates, distinct-n, documents that one reason brings. */
const profiles = {
  standard: { similarity: 0.06, duplicates: 0.004, distinct: [0.31, 0.74, 0.9, 0.95], together: 1 },
  knn: { similarity: 0.41, duplicates: 0.21, distinct: [0.2, 0.51, 0.66, 0.72], together: 7 },
  iclm: { similarity: 0.34, duplicates: 0.12, distinct: [0.23, 0.58, 0.75, 0.81], together: 9 },
  quest: { similarity: 0.27, duplicates: 0.025, distinct: [0.26, 0.67, 0.85, 0.91], together: 5 },
} satisfies Record<string, { distinct: RunReport['sample']['distinct']; [measure: string]: unknown }>
export type MadeMethod = keyof typeof profiles

const subjects = [
  'football player',
  'steam engine',
  'mountain river',
  'wooden bridge',
  'winter garden',
  'ringed planet',
  'chess opening',
  'prime minister',
  'jazz trumpet',
  'volcanic island',
  'stone castle',
  'coral reef',
]
const words =
  'the first of its kind was built near a small town and played until it became known for long years in northern regions where many people still remember how things began'.split(
    ' ',
  )
const sources = ['encyclopedia', 'news', 'forum', 'books', 'code', 'papers']

/** Settings of such a run. */
export interface Made {
  seed?: number
  sequences?: number
  length?: number
  /** Sequences to read, and bytes of text in each document of them. */
  browse?: number
  textBytes?: number
  /** Put the hostile texts wherever a corpus has a say. */
  harm?: boolean
}

/** The report of such a run. */
export function madeReport(
  method: MadeMethod,
  { seed = 1, sequences = 1200, length = 8192, browse = 12, textBytes = 600, harm = false }: Made = {},
): RunReport {
  const random = randomNumbers(seed * 31 + method.length)
  const profile = profiles[method]
  const quest = method === 'quest'
  // One group, whatever it holds.
  const path = method === 'standard' || method === 'iclm'
  const normal = () => Array.from({ length: 6 }, random).reduce((sum, x) => sum + x, -3)
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  const worse = (text: string) => (harm ? `${text} ${pick(hostile)}` : text)
  const spread = (mean: number): Distribution => {
    const values = Array.from({ length: sequences }, () => Math.max(1, Math.round(mean * Math.exp(normal() * 0.45))))
    const histogram: number[] = []
    for (const value of values) {
      const bucket = Math.ceil(Math.log2(value))
      while (histogram.length <= bucket) histogram.push(0)
      histogram[bucket] = (histogram[bucket] ?? 0) + 1
    }
    return { mean: values.reduce((sum, x) => sum + x, 0) / sequences, max: Math.max(...values), histogram }
  }
  const sampled = (mean: number): SampledMeasure => {
    const values = Array.from({ length: 256 }, (_, i) =>
      i % 61 === 60 ? null : Math.min(1, Math.max(0, mean * (1 + normal() * 0.35) + Math.max(0, normal() * 0.01))),
    )
    const present = values.filter((value) => value !== null)
    return { mean: present.reduce((sum, x) => sum + x, 0) / present.length, values }
  }
  const text = (subject: string) => {
    let written = `${subject}: `
    while (written.length < Math.min(textBytes, 600))
      written += `${pick(words)} ${random() < 0.1 ? `${subject}. ` : ''}`
    return worse(written.repeat(Math.ceil(textBytes / written.length)))
  }
  let number = 0
  const sequence = (): ReportSequence => {
    const pieces: ReportPiece[] = []
    let start = 0
    for (let group = 0; start < length; group += 1) {
      const subject = pick(subjects)
      const anchor = `doc-${Math.floor(random() * 9000)}`
      for (let i = 0; i < profile.together && start < length; i += 1) {
        const tokens = Math.min(length - start, Math.ceil((length / 12) * Math.exp(normal() * 0.6)))
        const reason = quest ? worse(subject) : method === 'knn' && i > 0 ? anchor : null
        const docId = worse(i === 0 ? anchor : `doc-${Math.floor(random() * 9000)}`)
        pieces.push({
          docId,
          start,
          length: tokens,
          docOffset: start === 0 && random() < 0.5 ? 120 : 0,
          reason,
          group: path ? 0 : group,
          source: worse(pick(sources)),
          text: text(subject),
          textCut: random() < 0.2,
        })
        start += tokens
      }
    }
    number += 1 + Math.floor(random() * 40)
    return {
      index: number,
      tokenCount: length,
      rule: quest ? pick(['group', 'related', 'next']) : 'group',
      phrase: quest && random() < 0.6 ? worse('player') : null,
      pieces,
    }
  }
  const inSequences = sequences * length
  const pool = Math.round(inSequences * 0.98)
  const byUses =
    method === 'knn'
      ? [2170, 3900, 2500, 1200, 640, 300, 150, 90, 40, 22, 11, 8, 5, 2, 1, 0, 0, 1]
      : quest
        ? [40, 9340, 1660]
        : [60, 10_980]
  const documents = byUses.reduce((sum, n) => sum + n, 0)
  const dropped = {
    truncate: 0,
    fill: quest ? Math.round(inSequences * 0.012) : 0,
    incomplete: 3210,
    budget: method === 'knn' ? Math.round(inSequences * 0.03) : 0,
  }
  const lost = dropped.fill + dropped.incomplete + dropped.budget
  const rules = { group: sequences, related: 0, next: 0, pad: 0, last: 0 }
  if (quest)
    Object.assign(rules, {
      group: Math.round(sequences * 0.22),
      related: sequences - Math.round(sequences * 0.22) - 60,
      next: 60,
    })
  if (method === 'knn') Object.assign(rules, { group: sequences - 90, next: 89, last: 1 })
  const shares = [0.42, 0.23, 0.15, 0.11, 0.06, 0.03]
  const tilt = method === 'standard' ? 0.02 : 0.35
  const output = shares.map((share) => share * (1 + normal() * tilt * 0.6))
  const sum = output.reduce((total, share) => total + share, 0)
  return {
    format: 2,
    version: '0.1.0',
    method: method,
    part: 'main',
    options: {
      method: { name: method, pool: 'keyworded', ...(quest && { splitRatio: 0.2, oversample: 2, fill: 'related' }) },
      length,
      seed: 0,
      tokens: null,
      output: { directory: `out-${method}`, format: 'parquet' },
    },
    length,
    sequences,
    documents: { corpus: 12_360, pool: documents, duplicates: 0, nearDuplicates: 0, byUses },
    tokens: {
      pool,
      used: inSequences + lost,
      inSequences,
      separators: sequences * 11,
      begins: 0,
      partMarkers: 0,
      padding: quest ? 0 : 4982,
      inSingleKeywordSequences: quest ? Math.round(inSequences * 0.22) : 0,
      ofShortSet: quest ? Math.round(inSequences * 0.18) : 0,
      byContext: [sequences * 11, sequences * 22, inSequences - sequences * 22],
      dropped,
    },
    shares: {
      singleKeyword: quest ? 0.22 : 0,
      shortSet: quest ? 0.18 : 0,
      dropped: lost / (inSequences + lost),
      padding: quest ? 0 : 4982 / inSequences,
    },
    nearDuplicatesLeftOut: 0,
    topics: null,
    pieces: { total: sequences * 12, cut: Math.round(sequences * 1.8) },
    documentsPerSequence: spread(11),
    groupsPerSequence: path ? { mean: 1, max: 1, histogram: [sequences] } : spread(quest ? 3.1 : 1.8),
    rules,
    keywords: quest
      ? {
          singletons: 3120,
          short: 470,
          long: 1880,
          shortDocuments: 940,
          shortTokens: Math.round(pool * 0.09),
          oversample: 2,
          sizes: [
            { from: 1, to: 1, singletons: 3120, short: 0, long: 0 },
            { from: 2, to: 2, singletons: 0, short: 470, long: 380 },
            { from: 3, to: 4, singletons: 0, short: 0, long: 760 },
            { from: 5, to: 8, singletons: 0, short: 0, long: 430 },
            { from: 9, to: 16, singletons: 0, short: 0, long: 210 },
            { from: 17, to: 32, singletons: 0, short: 0, long: 81 },
            { from: 33, to: 64, singletons: 0, short: 0, long: 19 },
          ],
          languages: [{ language: 'en', documents: 12_000, withCandidate: 11_000 }],
        }
      : null,
    sources: {
      names: sources.map(worse),
      pool: shares.map((share) => Math.round(share * pool)),
      output: output.map((share) => Math.round((share / sum) * inSequences)),
      divergence: tilt * 0.021,
    },
    sample: {
      sequences: 256,
      similarity: sampled(profile.similarity),
      nearDuplicates: sampled(profile.duplicates),
      distinct: profile.distinct,
    },
    browse: Array.from({ length: browse }, sequence),
  }
}

/** An output directory that holds nothing but such a report. */
export function writeReport(directory: string, report: object | string): string {
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'report.json'), typeof report === 'string' ? report : JSON.stringify(report))
  return directory
}
