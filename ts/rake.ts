// RAKE on strings.
import type { Keyword, Rake as NativeRake } from '#binding'
import { binding } from './binding.ts'
import { call } from './errors.ts'

export type { Keyword } from '#binding'

/** Options of Rake. */
export interface RakeOptions {
  /** `smart` (the paper's, 570 English words), `fox` (425), or a file with one word a line. */
  stopWords?: string
  /** Least score of a keyword; 0 for all. Quest takes 3. */
  minScore?: number
}

/**
 * Rapid automatic keyword extraction (Rose et al. 2010): phrases between stop words and punctuation; a word scores its degree over its
 * frequency, a phrase the sum of its words. Phrases come normalised: NFKC, lower case, single spaces.
 */
export class Rake {
  readonly #native: NativeRake

  constructor({ stopWords = 'smart', minScore = 0 }: RakeOptions = {}) {
    this.#native = call(() => new binding.Rake(JSON.stringify({ stopWords, minScore })))
  }

  /** Keywords of a text with their scores, best first. */
  extract(text: string): Keyword[] {
    return call(() => this.#native.extract(text))
  }

  /** Keywords of each text: one crossing of the boundary for all. */
  extractBatch(texts: string[]): Keyword[][] {
    return call(() => this.#native.extractBatch(texts))
  }
}
