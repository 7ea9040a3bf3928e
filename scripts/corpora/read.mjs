// Reads corpora that run.py names, one JSON object of options a line; prints the documents of each, or its error, as one line. Documents of a
// corpus with a tokenizer are put together from the pieces of sequences.
import { createInterface } from 'node:readline'
import { readDocuments, weave } from '../../dist/index.js'

/** Documents as [id, text]. */
async function texts(options) {
  const documents = []
  for await (const { id, text } of readDocuments(options)) documents.push([id, text])
  return documents
}

/** Documents as [id, token ids], in the order of their ids. */
async function tokens(options) {
  const pieces = new Map()
  const packing = { method: 'standard', length: 256, incomplete: 'pad', separator: 'none', padToken: 'token:<pad>' }
  const run = weave({ ...packing, ...options, output: { format: 'memory' } })
  for await (const { inputIds, pieces: own } of run.sequences())
    for (const { docId, start, length, docOffset } of own) {
      if (!pieces.has(docId)) pieces.set(docId, [])
      pieces.get(docId).push([docOffset, [...inputIds.subarray(start, start + length)]])
    }
  const ids = [...pieces.keys()].toSorted()
  return ids.map((id) => [
    id,
    pieces
      .get(id)
      .toSorted(([a], [b]) => a - b)
      .flatMap(([, piece]) => piece),
  ])
}

for await (const line of createInterface({ input: process.stdin })) {
  const options = JSON.parse(line)
  try {
    const documents = await (options.tokenizer === undefined ? texts(options) : tokens(options))
    console.log(JSON.stringify({ documents }))
  } catch (error) {
    console.log(JSON.stringify({ code: error.code ?? 'none', message: error.message }))
  }
}
