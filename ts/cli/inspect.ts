// longweave show, longweave verify.
import { show, verify } from '../output.ts'
import type { ShownSequence } from '../output.ts'
import type { Command } from './commands.ts'
import { number } from './progress.ts'
import { inline, jsonLine, printable } from './text.ts'
import { parse, required, wholeNumber } from './usage.ts'

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim()

function describe(shown: ShownSequence): string {
  const padding = shown.length - shown.nTokens
  const lines = [
    `sequence ${shown.sequence} of ${shown.sequences}: ${shown.length.toLocaleString('en')} tokens, ${shown.pieces.length} pieces${padding > 0 ? `, ${padding} tokens of padding` : ''}`,
  ]
  if (shown.why !== null) {
    lines.push(`why: ${inline(shown.why.text)}`)
    lines.push(`     seed ${shown.why.seed}, epoch ${shown.why.epoch}, finished in round ${shown.why.round}`)
  }
  for (const piece of shown.pieces) {
    const from = piece.offset > 0 ? `, from its token ${piece.offset} on` : ''
    const keyword = piece.reason === null ? '' : `  [${inline(piece.reason)}]`
    lines.push(
      '',
      `${String(piece.start).padStart(8)}  ${piece.id === null ? `piece of ${piece.len} tokens` : inline(piece.id)}${keyword}`,
      `${' '.repeat(10)}${piece.len} tokens${from}`,
    )
    if (piece.pass !== null) {
      const documents =
        piece.pass.documents === null ? '' : `, one of ${piece.pass.documents} documents with this keyword`
      lines.push(
        `${' '.repeat(10)}group ${piece.group}: pass ${piece.pass.round + 1} of epoch ${piece.pass.epoch}${documents}`,
      )
    }
    if (piece.text !== null) lines.push(`${' '.repeat(10)}${oneLine(piece.text)} …`)
  }
  return `${lines.join('\n')}\n`
}

export const showCommand: Command = {
  name: 'show',
  summary: 'a sequence as a person reads it',
  usage: 'longweave show OUT SEQUENCE [--why]',
  details:
    "Each document's place, id, keyword and first words, decoded from its tokens; with --why the rule, pass and draw that put it there.",
  flags: {
    why: { type: 'boolean', description: 'say why the pieces stand together (needs the work directory)' },
    words: { type: 'string', description: 'tokens of each piece to decode', default: '24' },
    tokenizer: { type: 'string', description: 'tokenizer.json, for an output that was moved away from its run' },
    json: { type: 'boolean', description: 'as JSON' },
  },
  options: null,
  examples: ['longweave show out 0', 'longweave show out 17 --why', 'longweave show out/holdout 3 --words 60'],
  async run(args) {
    const { values, positionals } = parse(args, this.flags, { most: 2 })
    const tokenizer = values['tokenizer']
    const shown = await show(
      required(positionals, 0, 'the output directory'),
      wholeNumber(required(positionals, 1, 'the number of the sequence'), 'the number of the sequence'),
      {
        why: values['why'] === true,
        words: wholeNumber(values['words'], '--words'),
        ...(typeof tokenizer === 'string' && { tokenizer }),
      },
    )
    process.stdout.write(values['json'] === true ? jsonLine(shown) : printable(describe(shown)))
  },
}

export const verifyCommand: Command = {
  name: 'verify',
  summary: 'check a finished output: checksums, lengths, pieces',
  usage: 'longweave verify OUT',
  details:
    'OUT is a directory, or the URL that an output was uploaded to. Nothing else is needed, so a copy can be checked where it arrived. The held-out output in OUT/holdout is checked by itself.',
  flags: { json: { type: 'boolean', description: 'as JSON' } },
  options: null,
  examples: ['longweave verify out'],
  async run(args) {
    const { values, positionals } = parse(args, this.flags, { most: 1 })
    const report = await verify(required(positionals, 0, 'the output directory'))
    const text = `${report.sequences.toLocaleString('en')} sequences, ${number(report.tokens)} tokens, ${report.pieces.toLocaleString('en')} pieces in ${report.files} files: all as they should be\n`
    process.stdout.write(values['json'] === true ? jsonLine(report) : text)
  },
}
