// Reads corpora that run.py names, one JSON object of options a line; prints the documents of each, or its error, as one line.
import { createInterface } from 'node:readline'
import { readDocuments } from '../../dist/index.js'

for await (const line of createInterface({ input: process.stdin })) {
  const documents = []
  try {
    for await (const { id, text } of readDocuments(JSON.parse(line))) documents.push([id, text])
    console.log(JSON.stringify({ documents }))
  } catch (error) {
    console.log(JSON.stringify({ code: error.code ?? 'none', message: error.message }))
  }
}
