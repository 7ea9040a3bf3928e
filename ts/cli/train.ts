// longweave train-tokenizer.
import { trainTokenizer } from '../output.ts'
import type { Command } from './commands.ts'
import { printable } from './text.ts'
import { UsageError, parse, wholeNumber } from './usage.ts'

export const trainCommand: Command = {
  name: 'train-tokenizer',
  summary: 'train a byte-level BPE tokenizer on a corpus, for trying things out',
  usage: 'longweave train-tokenizer --corpus PATH --out tokenizer.json [--vocab-size N]',
  details:
    'The texts are held in memory. The tokenizer.json loads here and in Hugging Face tokenizers; it knows <|endoftext|> and <|pad|>.',
  flags: {
    corpus: { type: 'string', description: 'file, directory or glob' },
    out: { type: 'string', description: 'where the tokenizer.json goes' },
    'vocab-size': { type: 'string', description: 'tokens in all', default: '16384' },
    'text-field': { type: 'string', description: 'field or column of the text', default: 'text' },
  },
  options: null,
  examples: ['longweave train-tokenizer --corpus docs.jsonl --vocab-size 8192 --out tokenizer.json'],
  async run(args) {
    const { values } = parse(args, this.flags)
    const { corpus, out } = values
    if (typeof corpus !== 'string' || typeof out !== 'string') throw new UsageError('--corpus and --out must be given')
    const vocabSize = wholeNumber(values['vocab-size'], '--vocab-size')
    const trained = await trainTokenizer({ corpus: [corpus], out, vocabSize, textField: String(values['text-field']) })
    process.stdout.write(
      printable(
        `${vocabSize.toLocaleString('en')} tokens from ${trained.documents.toLocaleString('en')} documents in ${trained.file}\n`,
      ),
    )
  },
}
