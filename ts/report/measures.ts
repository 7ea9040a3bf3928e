// The measures by which runs are compared; docs/report.md has them too.
import type { RunReport } from '../run-report.ts'
import { bits, compact, count, decimal, known, percent, upTo } from './format.ts'

type Report = Omit<RunReport, 'browse'>

/** A row of the table. */
export interface Measure {
  name: string
  /** Its definition. */
  about: string
  /** The value in words; null where the run has none. */
  show: (report: Report) => string | null
}

const sum = (list: number[]) => list.reduce((total, n) => total + n, 0)
const used = ({ documents }: Report) => sum(documents.byUses.slice(1))
const share = (part: number, all: number) => percent(all === 0 ? 0 : part / all)

/** The measures, under headings. */
export const measures: [string, Measure[]][] = [
  [
    'Together',
    [
      {
        name: 'similarity',
        about:
          'Cosine similarity of the words of two documents, rare words weighing more; the mean over all pairs in a sequence and over the sampled ' +
          'sequences: 0 where they share no word, 1 where they are the same.',
        show: ({ sample }) => known(sample.similarity.mean, (x) => decimal(x, 3)),
      },
      {
        name: 'near-duplicates',
        about:
          'Share of the documents of a sequence that nearly repeat an earlier one in it: at least half of their runs of five words are the same ' +
          '(Jaccard index, estimated). The mean over the sampled sequences.',
        show: ({ sample }) => known(sample.nearDuplicates.mean, percent),
      },
      {
        name: 'distinct-2',
        about:
          'Share of distinct pairs among all pairs of neighbouring tokens in a sequence. The mean over the sampled sequences; low where texts repeat.',
        show: ({ sample }) => known(sample.distinct[1] ?? null, (x) => decimal(x, 3)),
      },
      {
        name: 'single-keyword',
        about: 'Share of the tokens in sequences whose documents all have one keyword.',
        show: ({ shares, keywords }) => (keywords === null ? null : percent(shares.singleKeyword)),
      },
    ],
  ],
  [
    'A sequence',
    [
      {
        name: 'documents a sequence',
        about: 'Documents in a sequence: mean and maximum.',
        show: ({ documentsPerSequence: { mean, max } }) => `${decimal(mean)}, at most ${count(max)}`,
      },
      {
        name: 'groups a sequence',
        about: 'Groups (a pass of a keyword, a neighbourhood, a path) with documents in a sequence: mean and maximum.',
        show: ({ groupsPerSequence: { mean, max } }) => `${decimal(mean)}, at most ${count(max)}`,
      },
      {
        name: 'cut pieces',
        about: 'Share of the pieces (runs of one document in a sequence) that are not the whole document.',
        show: ({ pieces }) => share(pieces.cut, pieces.total),
      },
    ],
  ],
  [
    'The corpus',
    [
      {
        name: 'pool',
        about: 'Documents that the method may use, of all documents of the corpus.',
        show: ({ documents }) => `${count(documents.pool)} of ${count(documents.corpus)}`,
      },
      {
        name: 'duplicates',
        about: 'Documents left out because their text equals, or resembles, that of another one.',
        show: ({ documents: { duplicates, nearDuplicates } }) =>
          duplicates + nearDuplicates === 0 ? null : `${count(duplicates)} equal, ${count(nearDuplicates)} similar`,
      },
      {
        name: 'used',
        about: 'Share of the pool that is in at least one sequence.',
        show: (report) => share(used(report), report.documents.pool),
      },
      {
        name: 'used again',
        about: 'Share of the pool that is used more than once.',
        show: ({ documents }) => share(sum(documents.byUses.slice(2)), documents.pool),
      },
      {
        name: 'short set',
        about:
          'Share of the output’s tokens from the keywords with few documents, which Quest oversamples; and how often each of them is used.',
        show: ({ shares, keywords }) =>
          keywords === null || keywords.short === 0
            ? null
            : `${percent(shares.shortSet)}${keywords.oversample === null ? '' : `, ${upTo(keywords.oversample, 2)} times`}`,
      },
      {
        name: 'skew of sources',
        about:
          'Jensen–Shannon divergence between the sources’ shares of the pool’s tokens and of the output’s, in bits: 0 where they are the same, at most 1.',
        show: ({ sources }) => (sources === null ? null : bits(sources.divergence)),
      },
    ],
  ],
  [
    'Tokens',
    [
      {
        name: 'tokens',
        about: 'Tokens of documents in sequences, each as often as it is used.',
        show: ({ tokens }) => compact(tokens.inSequences),
      },
      {
        name: 'dropped',
        about: 'Share of the used documents’ tokens that are not in any sequence.',
        show: ({ shares }) => percent(shares.dropped),
      },
      { name: 'padding', about: 'Share of the output that is padding.', show: ({ shares }) => percent(shares.padding) },
    ],
  ],
]
