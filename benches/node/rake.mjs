// RAKE from Node: `node rake.mjs LINES`. Seconds in batches of 1,024 lines for the columns, and with each phrase a string; and line by line.
import { readFileSync } from 'node:fs'
import { Rake } from '../../dist/index.js'

const lines = readFileSync(process.argv[2], 'utf8').split('\n').slice(0, -1)
const rake = new Rake()
const measured = (extract) =>
  Array.from({ length: 5 }, () => {
    const start = process.cpuUsage()
    extract()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1e6
  })
const batches = (use) => () => {
  for (let at = 0; at < lines.length; at += 1024) use(rake.extractBatch(lines.slice(at, at + 1024)))
}
const seconds = measured(batches(({ scores }) => scores.length))
const withPhrases = measured(batches(({ phrases }) => phrases.length))
const oneByOne = measured(() => lines.forEach((line) => rake.extract(line)))
console.log(JSON.stringify({ seconds, withPhrases, oneByOne, queries: lines.length }))
