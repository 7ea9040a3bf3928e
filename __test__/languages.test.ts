// Corpora that are not English: keywords by language, the options that name a language, counts by language, messages.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { QueryPredictor, Rake } from '../ts/index.ts'
import type { RunOptions } from '../ts/index.ts'
import { cli, failure, finished, folder, topKeywords, wordTokenizer, writeJsonl } from './support.ts'

const directory = folder()
const tokenizer = wordTokenizer(directory)

/** Two texts of each language, and a keyword that both share. */
const texts = {
  zh: ['叶绿素吸收光能，植物利用光能。', '植物利用光能的过程叫做光合作用。'],
  ja: ['機械学習モデルを訓練する。', '東京の会社は機械学習モデルを使う。'],
  th: ['ระบบสุริยะของดวงอาทิตย์', 'ดาวเคราะห์ในระบบสุริยะ'],
  ar: ['هذا هو نهر النيل في كل هذا', 'أين هو نهر النيل؟'],
  hi: ['यह नई दिल्ली है।', 'वे नई दिल्ली में थे।'],
  ru: ['Это было в центре Москвы, и там есть красная площадь.', 'Для них красная площадь была рядом.'],
  de: ['Die erneuerbaren Energien sind für uns alle wichtig.', 'Auch hier gibt es die erneuerbaren Energien.'],
  fr: ['Ce sont les panneaux d’énergie solaire.', 'Elle est pour l’énergie solaire dans cette ville.'],
  en: ['The steam engine is here, and the mill.', 'This is the steam engine and not the mill.'],
}
const shared = {
  zh: '植物 利用 光能',
  ja: '機械 学習 モデル',
  th: 'ระบบ สุริยะ',
  ar: 'نهر النيل',
  hi: 'नई दिल्ली',
  ru: 'красная площадь',
  de: 'erneuerbaren energien',
  fr: 'énergie solaire',
  en: 'steam engine',
}
const rows = Object.entries(texts).flatMap(([language, [one, two]]) => [
  { id: `${language}-1`, text: one, language },
  { id: `${language}-2`, text: two, language },
])

/** Runs quest over rows in a new folder. */
async function quest(corpus: object[], more: Partial<RunOptions> = {}) {
  const at = folder()
  const out = join(at, 'out')
  const { summary } = await finished({
    corpus: writeJsonl(join(at, 'corpus.jsonl'), corpus),
    idField: 'id',
    tokenizer,
    length: 4,
    method: 'quest',
    output: { directory: out },
    ...more,
  } as RunOptions)
  return { summary, keywords: await topKeywords(out) }
}

test('documents of every language have keywords', async () => {
  const { summary, keywords } = await quest(rows)
  const frequent = keywords.filter(({ documents }) => documents === 2).map(({ keyword }) => keyword)
  expect(frequent.toSorted()).toEqual(Object.values(shared).toSorted())
  expect(summary.keywords?.languages.toSorted((a, b) => (a.language < b.language ? -1 : 1))).toEqual(
    Object.keys(texts)
      .toSorted()
      .map((language) => ({ language, documents: 2, withCandidate: 2 })),
  )
  expect(summary.warnings.filter((warning) => warning.includes('keyword.'))).toEqual([])
})

test('a corpus of Chinese alone is woven', async () => {
  const chinese = ['光合作用是植物利用光能的过程，叶绿素吸收光能。', '太阳能电池板把阳光转换成电能，效率取决于材料。']
  const { keywords } = await quest(Array.from({ length: 20 }, (_, i) => ({ id: `${i}`, text: chinese[i % 2] })))
  expect(keywords).toEqual([
    { keyword: '叶绿素 吸收 光能', documents: 10 },
    { keyword: '阳光 转换 成 电能', documents: 10 },
  ])
})

describe('options name the language', () => {
  const german = { text: 'Haus am See', id: 'short' }

  test('of all documents', async () => {
    const { summary } = await quest([german], { keywords: { language: 'de', minScore: 1 } })
    expect(summary.keywords?.languages).toEqual([{ language: 'de', documents: 1, withCandidate: 1 }])
  })

  test('of each, by a field, before that of all', async () => {
    const corpus = [
      { ...german, lang: 'deu_Latn' },
      { id: 'other', text: 'steam engine', lang: null },
      { id: 'unknown', text: 'nuqneH', lang: 'tlh' },
    ]
    const { summary } = await quest(corpus, { languageField: 'lang', keywords: { language: 'nl', minScore: 1 } })
    const languages = summary.keywords?.languages.map(({ language }) => language)
    expect(languages?.toSorted()).toEqual(['de', 'nl', 'und'])
  })

  test('of stop words', async () => {
    const { keywords } = await quest([{ id: 'a', text: 'red kites und tall trees' }], { keywords: { stopWords: 'de' } })
    expect(keywords.map(({ keyword }) => keyword).join()).toMatch(/^(red kites|tall trees)$/)
  })

  test('that is not known: the message names those that are', async () => {
    const error = await failure(() => quest(rows, { keywords: { language: 'klingon' } }))
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID', details: { option: 'keywords.language' } })
    expect(error.message).toMatch(/`keywords.language`.*"klingon".*`auto`.*\bde\b.*\bzh\b/)
    expect((await failure(() => new Rake({ language: 'klingon' }))).message).toMatch(/`language`.*"klingon".*\bzh\b/)
    expect((await failure(() => new Rake({ stopWords: 'klingon' }))).message).toMatch(
      /`stopWords`.*"klingon".*smart, fox, af/,
    )
    expect((await failure(() => QueryPredictor.open({ language: 'klingon' }))).message).toContain('"klingon"')
  })

  test('by a field that holds no code: the message names the row and the option', async () => {
    const error = await failure(() => quest([{ ...german, lang: ['de'] }], { languageField: 'lang' }))
    expect(error.code).toBe('BAD_ROW')
    expect(error.message).toMatch(/corpus\.jsonl:1.*"lang" is an array.*`languageField`/)
  })
})

const phrases = (rake: Rake, text: string) => rake.extract(text).map(({ phrase }) => phrase)

test('Rake reads texts of a language, or detects it', () => {
  const text = '東京都の人口は多い'
  expect(phrases(new Rake(), text)).toEqual([text])
  expect(phrases(new Rake({ language: 'ja' }), text)).toEqual(['東京 都', '人口', '多い'])
  const detecting = new Rake({ language: 'auto', minScore: 3 })
  expect(phrases(detecting, text)).toEqual(['東京 都'])
  expect(phrases(detecting, 'steam engines drive the mills')).toEqual(['steam engines drive'])
  expect(detecting.extractBatch([text, 'steam engines']).phrases).toEqual(['東京 都', 'steam engines'])
})

test('the extractive predictor takes phrases of any language, words of scripts without spaces apart by U+200B', async () => {
  await using predictor = await QueryPredictor.open()
  const queries: string[][] = []
  const documents = ['叶绿素吸收光能，植物利用光能。', 'Auch hier gibt es die erneuerbaren Energien.']
  for await (const document of predictor.predict(documents)) queries.push(document.queries)
  expect(queries).toEqual([['叶绿素\u{200b}吸收\u{200b}光能; 植物\u{200b}利用\u{200b}光能'], ['erneuerbaren energien']])
})

test('the command line takes the language too', async () => {
  const { out } = await cli(['keywords'], { input: `${texts.ja[0]}\n${texts.de[0]}\n` })
  expect(out).toBe('機械 学習 モデル (9)\nerneuerbaren energien (4)\n')
})
