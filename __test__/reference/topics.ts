// BM25: the part "Scores" of the section "topics" of docs/planning.md. Words of the test are ASCII, between spaces and newlines.
import { sortBy } from './random.ts'
import type { Doc, Topic } from './types.ts'

/** The constants that the test's runs have. */
export const [k1, b] = [1.2, 0.75]

const wordsOf = (text: string) => text.toLowerCase().match(/[a-z0-9]+/g) ?? []
const counted = (words: string[]) => {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

/** The list of each topic; documents must have all words of a query that weigh something, or any of them. */
export function listsOf(docs: Doc[], topics: Topic[], documents: number, match: 'all' | 'any'): Map<Topic, Doc[]> {
  const texts = docs
    .map((doc) => ({ doc, words: wordsOf(doc.words.join(' ')) }))
    .filter(({ words }) => words.length > 0)
    .map((text) => ({ ...text, counts: counted(text.words) }))
  const mean = texts.reduce((total, { words }) => total + words.length, 0) / texts.length
  const weight = (word: string) => {
    const n = texts.filter(({ counts }) => counts.has(word)).length
    return Math.max(0, Math.log((texts.length - n + 0.5) / (n + 0.5)))
  }
  const list = ({ query }: Topic) => {
    const asked = [...counted(wordsOf(query))].map(([word, times]) => ({ word, times, weight: weight(word) }))
    const fits = ({ counts }: { counts: Map<string, number> }) =>
      match === 'any' || asked.every(({ word, weight: w }) => w === 0 || counts.has(word))
    const scored = texts.filter(fits).map(({ doc, words, counts }) => {
      const scores = asked.map(({ word, times, weight: w }) => {
        const f = counts.get(word) ?? 0
        return times * Math.round(2 ** 20 * w * (f / (f + k1 * (1 - b + (b * words.length) / mean))))
      })
      return { doc, score: scores.reduce((total, score) => total + score, 0) }
    })
    return sortBy(
      scored.filter(({ score }) => score > 0),
      ({ score }) => [-score],
    )
      .slice(0, documents)
      .map(({ doc }) => doc)
  }
  return new Map(topics.map((topic) => [topic, list(topic)]))
}
