// What can be done with a finished or prepared output directory.
import { binding } from './binding.ts'
import { LongweaveError, call, settled } from './errors.ts'
import type { KeywordCount, ShownSequence, StageInfo, TaskRecord, VerifyReport } from './generated/results.ts'
import { toBatch, unbatch } from './sequences.ts'
import type { Sequence } from './sequences.ts'

export type { KeywordCount, ShownSequence, StageInfo, TaskRecord, VerifyReport } from './generated/results.ts'

/** Numbers that count something cross the boundary only when they do. */
function counting(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw new LongweaveError('OPTIONS_INVALID', `\`${name}\` must be a whole number of at least 0, but is ${value}`, {
    option: name,
  })
}

/** Sequences of an output in order, whatever its format: of a directory, or of the URL that it was uploaded to. */
export async function* readSequences(
  directory: string,
  { start = 0, batch = 64 }: { start?: number; batch?: number } = {},
): AsyncGenerator<Sequence, void, undefined> {
  counting('start', start)
  counting('batch', batch)
  const reader = call(() => binding.Sequences.open(directory))
  let number = start
  reader.seek(start)
  for (;;) {
    const read = await settled(reader.next(batch))
    if (read === null) return
    yield* unbatch(toBatch(read), number)
    number += read.sequences
  }
}

/**
 * Checks an output by itself, a directory or the URL that it was uploaded to: every file unchanged, every sequence of exactly the length, its pieces side by side.
 * @throws LongweaveError `VERIFY_FAILED`, naming the file and the difference.
 */
export async function verify(directory: string): Promise<VerifyReport> {
  return JSON.parse(await settled(binding.verify(directory))) as VerifyReport
}

/** Options of `show`. */
export interface ShowOptions {
  /** Say which draw, pass and rule put each piece there; needs the run's work directory. */
  why?: boolean
  /** Tokens of each piece that are decoded. */
  words?: number
  /** A tokenizer.json, for an output that was moved away from its run. */
  tokenizer?: string
}

/** A sequence with its documents' ids, reasons and first words. */
export async function show(
  directory: string,
  sequence: number,
  { why = false, words = 24, tokenizer }: ShowOptions = {},
): Promise<ShownSequence> {
  counting('sequence', sequence)
  counting('words', words)
  const options = { why, words, ...(tokenizer !== undefined && { tokenizer }) }
  return JSON.parse(await settled(binding.show(directory, sequence, JSON.stringify(options)))) as ShownSequence
}

/** The stages of a prepared run with their tasks. */
export function tasks(directory: string): StageInfo[] {
  return JSON.parse(call(() => binding.tasks(directory))) as StageInfo[]
}

/** Runs tasks of a stage: `17`, `3..9` (without 9), `shard:K/N` or `all`. */
export async function stage(
  directory: string,
  name: string,
  selection: string,
  { threads = 0, memory = 2 ** 31 }: { threads?: number; memory?: number } = {},
): Promise<TaskRecord[]> {
  return JSON.parse(
    await settled(binding.runStage(directory, name, selection, JSON.stringify({ threads, memory }))),
  ) as TaskRecord[]
}

/** The keywords with most documents of a run, for review before going on. */
export function topKeywords(directory: string, n = 50): KeywordCount[] {
  return JSON.parse(call(() => binding.topKeywords(directory, n))) as KeywordCount[]
}

/** Options of `trainTokenizer`. */
export interface TrainOptions {
  corpus: string[]
  /** Where the tokenizer.json goes. */
  out: string
  /** Tokens in all. */
  vocabSize?: number
  /** Fewest occurrences of a pair that is merged. */
  minFrequency?: number
  /** Tokens that get the first ids. */
  specialTokens?: string[]
  textField?: string
}

/** Trains a byte-level BPE tokenizer on a corpus, for demos and tests; its texts are held in memory. */
export async function trainTokenizer(options: TrainOptions): Promise<{ file: string; documents: number }> {
  const {
    corpus,
    out,
    vocabSize = 16_384,
    minFrequency = 2,
    specialTokens = ['<|endoftext|>', '<|pad|>'],
    textField = 'text',
  } = options
  return JSON.parse(
    await settled(
      binding.trainTokenizer(JSON.stringify({ corpus, out, vocabSize, minFrequency, specialTokens, textField })),
    ),
  ) as { file: string; documents: number }
}
