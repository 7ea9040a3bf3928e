// RAKE from Node, one crossing of the boundary for all lines: `node rake.mjs LINES`.
import { readFileSync } from 'node:fs'
import { Rake } from '../../dist/index.js'

const lines = readFileSync(process.argv[2], 'utf8').split('\n').slice(0, -1)
const rake = new Rake()
const seconds = []
for (let pass = 0; pass < 3; pass += 1) {
  const start = process.cpuUsage()
  for (let at = 0; at < lines.length; at += 1024) rake.extractBatch(lines.slice(at, at + 1024))
  const { user, system } = process.cpuUsage(start)
  seconds.push((user + system) / 1e6)
}
console.log(JSON.stringify({ seconds, queries: lines.length }))
