// RAKE on strings.
import type { NativeKeywords, NativeRake } from '#binding'
import * as z from 'zod'
import { binding } from './binding.ts'
import { call } from './errors.ts'
import { fill } from './options.ts'
import { cancellable } from './signal.ts'
import type { CallOptions } from './signal.ts'

const shared = { language: z.string().min(1).default('en'), minScore: z.number().default(0) }
const constructed = z.strictObject({
  stopWords: z.union([z.string().min(1), z.array(z.string()).readonly()]).default('auto'),
  ...shared,
})
const opened = z.strictObject({ stopWordsFile: z.string().min(1), ...shared })

/** Room for a text in UTF-16, then for its keywords. A longer text is a batch of one. */
const room = Buffer.allocUnsafeSlow(1 << 16)
const ZERO = '0'.charCodeAt(0)

/** Options of `new Rake`. */
export interface RakeOptions {
  /**
   * `auto` (the list of the language), `smart` (the list of the RAKE paper, 570 English words: that of `en`), `fox` (425 English words), the
   * code of a language, or the words themselves.
   */
  stopWords?: string | readonly string[]
  /** The code of the texts' language, which decides what a word is; `auto` to detect that of each text. */
  language?: string
  /** The least score of a keyword; 0 for all. Quest takes 3. */
  minScore?: number
}

/** Options of `Rake.open`. */
export interface RakeFileOptions {
  /** A file with one stop word a line; lines that begin with `#` are comments. */
  stopWordsFile: string
  /** The code of the texts' language, which decides what a word is; `auto` to detect that of each text. */
  language?: string
  /** The least score of a keyword; 0 for all. Quest takes 3. */
  minScore?: number
}

/** A keyword of a text. */
export interface Keyword {
  /** The phrase: NFKC, lower case, single spaces. */
  phrase: string
  /** The sum of its words' degree/frequency. */
  score: number
}

/**
 * Keywords of texts as columns: text `i` has the entries `offsets[i]` to `offsets[i + 1]` of `phrases` and `scores`.
 *
 * @example
 * ```ts
 * import { Rake } from 'longweave'
 *
 * const batch = new Rake().extractBatch(['steam engines drive mills', 'the winter garden'])
 * for (const keywords of batch) console.log(keywords.map(({ phrase }) => phrase))
 * console.log(batch.phrases, batch.scores, batch.offsets) // the same as columns
 * ```
 */
export class KeywordBatch implements Iterable<Keyword[]> {
  /** Number of texts. */
  readonly length: number
  /** Index of each text's first keyword, and the number of keywords: `length + 1` entries. */
  readonly offsets: Uint32Array
  /** The score of each phrase. */
  readonly scores: Float64Array
  readonly #text: string
  #phrases: string[] | undefined

  /** @internal */
  constructor({ phrases, scores, offsets }: NativeKeywords) {
    this.length = offsets.length - 1
    this.offsets = offsets
    this.scores = scores
    this.#text = phrases
  }

  /** Phrases; of one text best first, ties in byte order. Strings are made at the first use. */
  get phrases(): string[] {
    if (this.#phrases === undefined) {
      this.#phrases = this.#text.split('\n')
      // Each phrase ends with a line feed, so that the last part is empty.
      this.#phrases.length = this.scores.length
    }
    return this.#phrases
  }

  /**
   * The keywords of a text.
   * @throws RangeError for a text that the batch does not have
   */
  get(i: number): Keyword[] {
    const [from, to] = [this.offsets[i], this.offsets[i + 1]]
    if (from === undefined || to === undefined) {
      throw new RangeError(`the batch has ${this.length} texts; there is no text ${i}`)
    }
    return this.phrases.slice(from, to).map((phrase, j) => ({ phrase, score: this.scores[from + j] ?? 0 }))
  }

  /** The keywords of each text in order. */
  *[Symbol.iterator](): Generator<Keyword[], void, undefined> {
    for (let i = 0; i < this.length; i += 1) yield this.get(i)
  }
}

/**
 * Rapid automatic keyword extraction (Rose et al. 2010). Keywords are the phrases between stop words and punctuation. A word scores its degree
 * over its frequency, a phrase the sum of its words.
 *
 * @example
 * ```ts
 * import { Rake } from 'longweave'
 *
 * const rake = new Rake({ stopWords: 'smart', minScore: 3 })
 * console.log(rake.extract('Where can compatibility of linear constraints be proven?'))
 * // [{ phrase: 'linear constraints', score: 4 }]
 * ```
 */
export class Rake {
  #native: NativeRake
  #single: number | undefined

  constructor(options: RakeOptions = {}) {
    const { stopWords, ...rest } = fill(constructed, options)
    const source = typeof stopWords === 'string' ? { builtin: stopWords } : { words: stopWords }
    this.#native = call(() => new binding.NativeRake(JSON.stringify({ stopWords: source, ...rest })))
  }

  /**
   * An extractor with the stop words of a file.
   * @throws LongweaveError `INPUT_NOT_FOUND`
   */
  static async open(options: RakeFileOptions, { signal }: CallOptions = {}): Promise<Rake> {
    const { stopWordsFile, ...rest } = fill(opened, options)
    const core = JSON.stringify({ stopWords: { file: stopWordsFile }, ...rest })
    const rake = new Rake()
    rake.#native = await cancellable(signal, (c) => binding.NativeRake.open(core, c))
    return rake
  }

  /** Keywords of a text with their scores, best first. */
  extract(text: string): Keyword[] {
    // Texts and results pass through memory of both sides, which takes a third of the time of strings.
    if (typeof text !== 'string' || 2 * text.length > room.length) return this.#alone(text)
    this.#single ??= this.#native.single()
    const written = binding.rakeOne(this.#single, room, room.write(text, 'utf16le'))
    if (written === -1) return this.#alone(text)
    const found = room.toString('utf8', 0, written)
    const keywords: Keyword[] = []
    for (let at = 0; at < found.length;) {
      const [space, end] = [found.indexOf(' ', at), found.indexOf('\n', at)]
      const score = space === at + 1 ? found.charCodeAt(at) - ZERO : Number(found.slice(at, space))
      keywords.push({ phrase: found.slice(space + 1, end), score })
      at = end + 1
    }
    return keywords
  }

  /** A text as a batch of one: it needs no room here, and another value is refused. */
  #alone(text: string): Keyword[] {
    return new KeywordBatch(call(() => this.#native.extract(text, Uint32Array.of(text?.length ?? 0)))).get(0)
  }

  /** Keywords of each text as columns, which cross from Rust at once. */
  extractBatch(texts: readonly string[]): KeywordBatch {
    const lengths = new Uint32Array(texts.length)
    for (let i = 0; i < texts.length; i += 1) lengths[i] = texts[i]?.length ?? 0
    return new KeywordBatch(call(() => this.#native.extract(texts.join(''), lengths)))
  }
}
