// The summary of a run, for people.
import type { Summary } from '../events.ts'
import type { LanguageCounts, Unread } from '../generated/results.ts'
import { fold } from './layout.ts'
import { inline } from './text.ts'
import { bytes, grouped, number, time } from './units.ts'

const percent = (share: number) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`

/** The uses of special tokens, as a line begins. */
const named = {
  separator: 'separator',
  bosToken: 'begin',
  padToken: 'padding',
  partEnd: 'part end',
  partBegin: 'part begin',
}
/** Files and directories that were not read, as one line; none where there are none. */
export function unreadLine(unread: Unread[]): string[] {
  const names: Record<Unread['reason'], string> = {
    ownFile: 'of this run',
    output: 'output of another run',
    skipped: '',
    card: 'card or licence',
    kind: '',
  }
  const parts = unread.map(({ reason, name, count, examples }) => {
    const label = names[reason] || name || 'without ending'
    return `${grouped(count)} ${label} (${examples.join(', ')}${count > examples.length ? ', …' : ''})`
  })
  return parts.length === 0 ? [] : [`not read    ${parts.join(', ')}`]
}

/** Languages of a corpus that are shown; the others are in the summary. */
const MOST_LANGUAGES = 8

/** Documents by language, and which share of them has a keyword. */
function languagesLine(languages: LanguageCounts[]): string {
  const shown = languages
    .slice(0, MOST_LANGUAGES)
    .map(
      ({ language, documents, withCandidate }) =>
        `${language} ${grouped(documents)} (${percent(withCandidate / documents)})`,
    )
  const more = languages.length > MOST_LANGUAGES ? `, ${languages.length - MOST_LANGUAGES} more` : ''
  return `languages   ${shown.join(', ')}${more}; in brackets: with a keyword`
}

/** The summary of a run as text. */
export function describeSummary(summary: Summary): string {
  const lines: string[] = []
  const { corpus, keywords, plan: stats, shares, means } = summary
  if (corpus !== null) {
    const others = [
      [corpus.empty, 'empty'],
      [corpus.rejected, 'rejected'],
      [corpus.renamed, 'renamed'],
    ]
      .filter(([n]) => n !== 0)
      .map(([n, what]) => `, ${n} ${what}`)
      .join('')
    lines.push(
      `corpus      ${grouped(corpus.documents)} documents, ${number(corpus.tokens)} tokens in ${corpus.files} file${corpus.files === 1 ? '' : 's'}${others}`,
    )
  }
  for (const { option, token, id, by } of summary.specialTokens)
    lines.push(`${named[option].padEnd(12)}${inline(token)} (${id}), by ${by}`)
  if (corpus !== null) lines.push(...unreadLine(corpus.unread))
  if (summary.predictor?.name === 'onnx')
    lines.push(`predictor   ${summary.predictor.model ?? 'model'} on ${summary.predictor.devices.join(', ')}`)
  if (keywords !== null)
    lines.push(`keywords    ${grouped(keywords.distinct)} keywords for ${grouped(keywords.withKeyword)} documents`)
  if (keywords !== null && keywords.languages.length > 1) lines.push(languagesLine(keywords.languages))
  const { vectors, neighbours } = summary
  if (vectors !== null)
    lines.push(
      `vectors     ${grouped(vectors.vectors)} of ${vectors.dimensions} numbers, ${vectors.source}${vectors.devices.length > 0 ? ` on ${vectors.devices.join(', ')}` : ''}`,
    )
  if (neighbours !== null) {
    const how =
      neighbours.recall === null
        ? 'all pairs compared'
        : `inverted lists, ${percent(neighbours.recall)} of the nearest found in a sample of ${neighbours.sampled}`
    lines.push(`neighbours  ${neighbours.mean.toFixed(1)} of at most ${neighbours.k}; ${how}`)
  }
  if (stats !== null && shares !== null && means !== null) {
    lines.push(`sequences   ${grouped(stats.sequences)} of ${grouped(summary.length)} tokens`)
    if (summary.method === 'quest') {
      const { group, related, next } = stats.rules
      const by = (
        [
          [group, 'of one keyword'],
          [related, 'of related ones'],
          [next, 'of leftovers in random order'],
        ] as const
      ).filter(([n]) => n > 0)
      lines.push(
        `            ${by.map(([n, what]) => `${grouped(n)} ${what}`).join(', ')}; ${means.groupsPerSequence.toFixed(1)} keywords a sequence`,
      )
      lines.push(
        `            short set: ${grouped(stats.keywords.short)} keywords${stats.oversample === null ? '' : `, used ${stats.oversample.toFixed(2)} times`}, ${percent(shares.shortSet)} of the tokens`,
      )
    } else {
      const unused = stats.documentsByUses[0] ?? 0
      const more = unused > 0 ? `; ${grouped(unused)} of ${grouped(stats.poolDocuments)} documents are in none` : ''
      lines.push(`            ${means.documentsPerSequence.toFixed(1)} documents a sequence${more}`)
      if (stats.nearDuplicates > 0)
        lines.push(
          `            ${grouped(stats.nearDuplicates)} documents left out because they begin like the one before`,
        )
    }
    const { duplicate, nearDuplicate } = stats.excluded
    if (duplicate + nearDuplicate > 0)
      lines.push(
        `duplicates  ${grouped(duplicate)} documents left out as equal to another one, ${grouped(nearDuplicate)} as similar`,
      )
    const { sample } = summary
    if (sample !== null && sample.similarity !== null) {
      const repeats =
        sample.nearDuplicates === null
          ? ''
          : `; ${percent(sample.nearDuplicates)} of the documents nearly repeat another`
      lines.push(
        `alike       ${sample.similarity.toFixed(3)} mean similarity of a sequence's documents${repeats} (${sample.sequences} sequences)`,
      )
    }
    lines.push(
      `dropped     ${percent(shares.dropped)} of the tokens${shares.padding > 0 ? `; padding ${percent(shares.padding)}` : ''}`,
    )
  }
  if (summary.holdout !== null) lines.push(`held out    ${grouped(summary.holdout.sequences)} sequences in holdout/`)
  if (summary.files > 0)
    lines.push(
      `written     ${summary.files} file${summary.files === 1 ? '' : 's'}, ${bytes(summary.bytes)}, in ${summary.directory}`,
    )
  lines.push(`time        ${time(summary.seconds)}`)
  return fold(lines)
}
