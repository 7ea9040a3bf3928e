// longweave show, longweave verify.
import { openOutput, verify } from '../output.ts'
import type { ShownSequence } from '../generated/results.ts'
import type { Output } from '../output.ts'
import { json, runDirectory } from './command.ts'
import type { Command } from './command.ts'
import { interruptible } from './interrupt.ts'
import { parse, wholeNumber } from './parse.ts'
import { inline, jsonLine, printable } from './text.ts'
import { grouped, number, several } from './units.ts'

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim()

function describe(shown: ShownSequence): string {
  const padding = shown.sequenceLength - shown.tokenCount
  const lines = [
    `sequence ${shown.index} of ${grouped(shown.sequences)}: ${grouped(shown.sequenceLength)} tokens, ${shown.pieces.length} pieces${padding > 0 ? `, ${padding} tokens of padding` : ''}`,
  ]
  if (shown.why !== null) {
    lines.push(`why: ${inline(shown.why.text)}`)
    lines.push(`     seed ${shown.why.seed}, epoch ${shown.why.epoch}, finished in round ${shown.why.round}`)
  }
  for (const piece of shown.pieces) {
    const from = piece.docOffset > 0 ? `, from its token ${piece.docOffset} on` : ''
    const keyword = piece.reason === null ? '' : `  [${inline(piece.reason)}]`
    lines.push(
      '',
      `${String(piece.start).padStart(8)}  ${piece.docId === null ? `piece of ${piece.length} tokens` : inline(piece.docId)}${keyword}`,
      `${' '.repeat(10)}${piece.length} tokens${from}`,
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

/** Tokens that are read to find a sequence worth showing. */
const LOOK = 1 << 24
/** As many documents as a person reads. */
const READABLE = 12

/** The sequence most of whose tokens one keyword brought, of those at the beginning of the output; of equals the one of about a dozen documents. */
async function mostOfOneKeyword(output: Output, signal: AbortSignal): Promise<number> {
  let best = { index: 0, share: 0, away: Number.POSITIVE_INFINITY }
  const end = Math.ceil(LOOK / output.sequenceLength)
  for await (const { index, tokenCount, docIds, pieces } of output.sequences({ end, signal })) {
    const sums = new Map<string, number>()
    for (const { reason, length } of pieces) if (reason !== null) sums.set(reason, (sums.get(reason) ?? 0) + length)
    const share = Math.max(0, ...sums.values()) / Math.max(tokenCount, 1)
    const away = Math.abs(new Set(docIds).size - READABLE)
    if (share > best.share || (share === best.share && away < best.away)) best = { index, share, away }
  }
  return best.index
}

export const showCommand: Command = {
  name: 'show',
  group: 'read',
  summary: 'one sequence: its documents, their keywords and first words',
  details: `Prints the place, id, keyword and first words of each document, decoded from its tokens. Without N it shows the sequence most of whose tokens share one keyword, among the first 16 million tokens.`,
  positionals: [
    { ...runDirectory, description: 'the output directory, or its holdout/' },
    { name: 'N', description: 'the number of the sequence, from 0', optional: true },
  ],
  flags: {
    why: {
      description: 'Adds the rule, pass and draw that put each piece there.',
      when: 'Use it to understand a method; it needs the work directory.',
    },
    words: {
      value: 'N',
      description: 'Tokens of each piece to decode.',
      when: 'Raise it to read more of each document.',
      default: '24',
    },
    tokenizer: {
      value: 'FILE',
      description: 'The tokenizer.json.',
      when: 'Give it for an output that was moved away from its run.',
    },
    json,
  },
  options: null,
  json: 'ShownSequence',
  examples: ['longweave show out', 'longweave show out 17 --why', 'longweave show out/holdout 3 --words 60'],
  async run(args) {
    const { values, positionals } = parse(args, this)
    const [directory = '', place] = positionals
    const tokenizer = values['tokenizer']
    const words = wholeNumber(values['words'], '--words')
    return interruptible('nothing was written.', async (signal) => {
      await using output = await openOutput(directory, { signal })
      const index = place === undefined ? await mostOfOneKeyword(output, signal) : wholeNumber(place, 'N')
      const shown = await output.show(index, {
        why: values['why'] === true,
        words,
        ...(typeof tokenizer === 'string' && { tokenizer }),
        signal,
      })
      process.stdout.write(values['json'] === true ? jsonLine(shown) : printable(describe(shown)))
    })
  },
}

export const verifyCommand: Command = {
  name: 'verify',
  group: 'read',
  summary: 'check a finished output: checksums, lengths, pieces',
  details:
    'Needs nothing but the output, so that a copy can be checked where it arrived. The held-out output in RUN/holdout is checked by a call of its own.',
  positionals: [{ ...runDirectory, description: 'the output directory, or the URL that an output was uploaded to' }],
  flags: { json },
  options: null,
  json: 'VerifyReport',
  examples: ['longweave verify out', 'longweave verify s3://bucket/prefix'],
  async run(args) {
    const { values, positionals } = parse(args, this)
    return interruptible('nothing was written.', async (signal) => {
      const report = await verify(positionals[0] ?? '', { signal })
      const { sequences, tokens, pieces, files } = report
      const text = `${several(sequences, 'sequence')}, ${number(tokens)} tokens, ${several(pieces, 'piece')} in ${several(files, 'file')}: everything is as recorded\n`
      process.stdout.write(values['json'] === true ? jsonLine(report) : text)
    })
  },
}
