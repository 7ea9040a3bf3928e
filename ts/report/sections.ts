// Which figures the page has, in which order, and what they say.
import { bucket, count, counted, decimal, percent, tick } from './format.ts'
import { sum } from './figure.ts'
import { lists, sources } from './corpus.ts'
import { isRandom } from './methods.ts'
import { histograms, stacks } from './parts.ts'
import type { Run } from './runs.ts'
import { distinct, scatter, strips } from './together.ts'

/** A section of the page. */
export interface Section {
  title: string
  note: string
  figures: HTMLElement[]
}

/** Names of the buckets that the longest of `lists` needs: 1, 2, 3–4 … */
const buckets = (all: number[][]) =>
  Array.from({ length: Math.max(1, ...all.map((list) => list.length)) }, (_, i) => bucket(i))

/** Documents used 1, 2, 3 … times, gathered to 1, 2, 3–4, 5–8 … */
function gathered(byUses: number[]): number[] {
  const list: number[] = []
  for (let from = 1, to = 1; from < byUses.length; [from, to] = [to + 1, to * 2])
    list.push(sum(byUses.slice(from, to + 1)))
  return list
}

/** How redundant: what the paper is about. */
export function together(runs: Run[]): Section {
  const most = Math.max(...runs.map(({ report }) => report.sample.sequences))
  return {
    title: 'Relatedness and redundancy',
    note: `Documents in a sequence should be related without repeating each other. Measured on the texts of ${counted(most, 'sampled sequence')} of each run.`,
    figures: [
      scatter(runs),
      distinct(runs),
      strips(runs, {
        title: 'Similarity, sequence by sequence',
        note: 'Each dot is a sequence. The box spans the middle half; the line is the mean.',
        measure: 'similarity',
        label: 'similarity (cosine)',
        show: (x) => decimal(x, 3),
        tickFormat: (x) => String(Number(x.toFixed(3))),
      }),
      strips(runs, {
        title: 'Near-duplicates, sequence by sequence',
        note: 'The same for the share of documents that nearly repeat an earlier one in their sequence.',
        measure: 'nearDuplicates',
        label: 'near-duplicates (share of the documents)',
        show: percent,
        tickFormat: tick,
      }),
    ],
  }
}

/** Composition of sequences. */
export function made(runs: Run[]): Section {
  const spread = (measure: 'documentsPerSequence' | 'groupsPerSequence') => ({
    unit: 'sequences',
    buckets: buckets(runs.map(({ report }) => report[measure].histogram)),
    counts: ({ report }: Run) => report[measure].histogram,
    second: ({ report }: Run) => `mean ${decimal(report[measure].mean)}`,
  })
  return {
    title: 'Composition of a sequence',
    note: 'Shares of the run’s sequences.',
    figures: [
      histograms(runs, {
        title: 'Documents a sequence',
        note: 'The number of documents, whole or cut, in one sequence.',
        label: 'documents in a sequence',
        ...spread('documentsPerSequence'),
      }),
      histograms(runs, {
        title: 'Groups a sequence',
        note: 'A method forms groups: the documents of a keyword, a neighbourhood, a path. Random order is one group.',
        label: 'groups in a sequence',
        ...spread('groupsPerSequence'),
      }),
      stacks(runs, {
        title: 'Why documents are together',
        note: 'Each sequence by the rule that filled it.',
        label: 'share of the sequences',
        unit: 'sequences',
        wide: true,
        parts: [
          {
            name: 'one keyword, neighbourhood or path',
            colour: 'var(--ink-1)',
            value: ({ report }) => (isRandom(report.method) ? 0 : report.rules.group),
          },
          {
            name: 'leftovers of related keywords',
            colour: 'var(--ink-2)',
            value: ({ report }) => report.rules.related,
          },
          { name: 'leftovers in random order', colour: 'var(--ink-3)', value: ({ report }) => report.rules.next },
          {
            name: 'all documents in random order',
            colour: 'var(--ink-4)',
            value: ({ report }) => (isRandom(report.method) ? report.rules.group : 0),
          },
          { name: 'the last sequence, padded', colour: 'var(--lost-3)', value: ({ report }) => report.rules.last },
          { name: 'a leftover, padded', colour: 'var(--lost-2)', value: ({ report }) => report.rules.pad },
        ],
      }),
    ],
  }
}

/** Use of the corpus. */
export function used(runs: Run[]): Section {
  const keyworded = runs.filter(({ report }) => report.keywords !== null && report.keywords.sizes.length > 0)
  return {
    title: 'Use of the corpus',
    note: 'These counts cover every document of the pool and each of its tokens.',
    figures: [
      histograms(runs, {
        title: 'Uses of a document',
        note: 'The number of times that a document of the pool is used, over all passes and epochs.',
        label: 'uses',
        unit: 'documents',
        buckets: ['0', ...buckets(runs.map(({ report }) => gathered(report.documents.byUses)))],
        counts: ({ report }) => [report.documents.byUses[0] ?? 0, ...gathered(report.documents.byUses)],
        second: ({ report }) =>
          `at most ${count(
            Math.max(
              0,
              report.documents.byUses.findLastIndex((n) => n > 0),
            ),
          )}`,
      }),
      stacks(runs, {
        title: 'Destination of tokens',
        note: 'Tokens of documents, counted as often as they are used, and the tokens between documents.',
        label: 'share of the tokens',
        unit: 'tokens',
        magnified: 'All parts except documents in sequences, magnified:',
        parts: [
          { name: 'documents in sequences', colour: 'var(--ink-1)', value: ({ report }) => report.tokens.inSequences },
          { name: 'separators', colour: 'var(--ink-2)', value: ({ report }) => report.tokens.separators },
          {
            name: 'begin tokens, markers of parts',
            colour: 'var(--ink-3)',
            value: ({ report }) => report.tokens.begins + report.tokens.partMarkers,
          },
          { name: 'padding', colour: 'var(--ink-4)', value: ({ report }) => report.tokens.padding },
          {
            name: 'dropped: cut off at the end of a sequence',
            colour: 'var(--lost-1)',
            value: ({ report }) => report.tokens.dropped.truncate,
          },
          {
            name: 'dropped: leftovers of groups',
            colour: 'var(--lost-2)',
            value: ({ report }) => report.tokens.dropped.fill,
          },
          {
            name: 'dropped: an incomplete last sequence',
            colour: 'var(--lost-3)',
            value: ({ report }) => report.tokens.dropped.incomplete,
          },
          {
            name: 'dropped: beyond the requested tokens',
            colour: 'var(--lost-4)',
            value: ({ report }) => report.tokens.dropped.budget,
          },
        ],
      }),
      // One alone would leave half a row empty.
      ...keyworded.map((run, i) => lists(run, i === keyworded.length - 1 && i % 2 === 0)),
      ...[sources(runs)].filter((shown) => shown !== null),
    ],
  }
}
