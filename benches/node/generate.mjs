// Generates queries with longweave: MODEL INPUTS THREADS BATCH PASSES. Seconds of each pass after a first, text in and text out, and the ids of the first texts.
import { readFileSync } from 'node:fs'
import binding from '#binding'
import { QueryPredictor } from '../../dist/index.js'

// The API does not say where the time goes: the addon's own object does.
const { NativePredictor, Cancellation } = binding
const { predict } = NativePredictor.prototype
let native
NativePredictor.prototype.predict = function (...given) {
  native = this
  return predict.apply(this, given)
}

const [model, inputs, threads, batch, passes] = process.argv.slice(2)
const { texts, steps } = JSON.parse(readFileSync(inputs, 'utf8'))
const rows = Number(batch)
const predictor = await QueryPredictor.open({
  predictor: 'onnx',
  model,
  device: 'cpu',
  decoding: 'greedy',
  maxQueryTokens: steps,
  segmentTokens: 127,
  threads: Number(threads),
  decodeRows: rows,
  batchTokens: rows * 128,
})
const generate = async (list) => {
  const made = []
  for await (const { tokenIds } of predictor.predict(list, { tokenIds: true }))
    made.push(tokenIds.map((ids) => [...ids]))
  return made
}
const first = await generate(texts.slice(0, rows))
const timing = async () => JSON.parse(await native.timing(new Cancellation()))
const before = await timing()
const seconds = []
for (let i = 0; i < Number(passes); i += 1) {
  const start = performance.now()
  await generate(texts)
  seconds.push((performance.now() - start) / 1000)
}
const after = await timing()
const spent = Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[name]]))
console.log(JSON.stringify({ seconds, timing: spent, ids: first.map((queries) => queries[0] ?? []) }))
