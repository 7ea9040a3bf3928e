// RAKE from Node in batches of 1,024 lines: `node rake.mjs LINES`. Seconds for the columns, and with each phrase a string.
import { readFileSync } from 'node:fs'
import { Rake } from '../../dist/index.js'

const lines = readFileSync(process.argv[2], 'utf8').split('\n').slice(0, -1)
const rake = new Rake()
const measured = (use) =>
  Array.from({ length: 5 }, () => {
    const start = process.cpuUsage()
    for (let at = 0; at < lines.length; at += 1024) use(rake.extractBatch(lines.slice(at, at + 1024)))
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1e6
  })
const seconds = measured(({ scores }) => scores.length)
const withPhrases = measured(({ phrases }) => phrases.length)
console.log(JSON.stringify({ seconds, withPhrases, queries: lines.length }))
