// The report's page, without a browser: what the file holds, what is refused.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { report } from '../ts/index.ts'
import type { RunReport } from '../ts/index.ts'
import { measures } from '../ts/report/measures.ts'
import type { PageData } from '../ts/run-report.ts'
import { hostile, madeReport, writeReport } from './reports.ts'
import { failure, folder, root } from './support.ts'

const directory = folder()
const at = (name: string) => join(directory, name)
const reports = (['standard', 'knn', 'quest'] as const).map((method) => madeReport(method, { harm: true, browse: 4 }))
const outputs = reports.map((made) => writeReport(at(`out-${made.method}`), made))

/** The page's parts. */
function parts(file: string): { html: string; data: string; page: PageData; script: string; licences: string } {
  const html = readFileSync(file, 'utf8')
  const data = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] ?? ''
  const [, licences = ''] = /<pre>(.*?)<\/pre>/s.exec(html) ?? []
  return {
    html,
    data,
    page: JSON.parse(data) as PageData,
    script: /<script>(.*?)<\/script>/s.exec(html)?.[1] ?? '',
    licences,
  }
}

test('the page holds what the reports say, in the order they were given', async () => {
  const written = await report(outputs, { out: at('page.html') })
  const { page } = parts(at('page.html'))
  expect(written).toEqual({
    file: at('page.html'),
    bytes: statSync(at('page.html')).size,
    runs: reports.map(({ method }, i) => ({ label: method, directory: outputs[i], sequences: 4, leftOut: 0 })),
  })
  expect(page.runs.map((run, i) => ({ ...run.report, browse: page.browse[i] }))).toEqual(reports)
  expect(page.leftOut).toEqual([0, 0, 0])
})

test('no text of a corpus ends the script that holds it, or is anything but text', async () => {
  const { data, html, page } = parts((await report(outputs, { out: at('harm.html') })).file)
  expect(/[<\u2028\u2029]/.exec(data)).toBeNull()
  const texts = page.browse
    .flat()
    .flatMap(({ pieces }) => pieces.flatMap(({ docId, text }) => [docId, text]))
    .join('')
  for (const text of hostile) expect(texts.includes(text), text).toBe(true)
  // Its own two scripts; every other "<script" is inside of them, escaped or the code's.
  expect(html.match(/<script/g)).toHaveLength(2)
  expect(html.match(/<\/script/g)).toHaveLength(2)
  expect(html.includes('<img')).toBe(false)
})

test('the page loads nothing: no address but names of XML and those in licences, and a policy that allows its own script alone', async () => {
  const { html, data, script } = parts((await report(outputs, { out: at('alone.html') })).file)
  const rest = html.replace(/<details>.*?<\/details>/s, '').replace(data, '')
  for (const [address] of rest.matchAll(/(https?:)?\/\/[a-z0-9-]+\.[a-z]+[^\s"'`)]*/g))
    expect(address).toMatch(/^http:\/\/www\.w3\.org\//)
  expect(/<link|<img|<iframe|\ssrc=|\shref=|@import|url\(/.exec(rest.replace(script, ''))).toBeNull()
  const hash = createHash('sha256').update(script).digest('base64')
  expect(html.slice(0, 1000)).toContain(
    `content="default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"`,
  )
})

test('the page brings the licences of what is in it', async () => {
  const { licences } = parts((await report(outputs, { out: at('licences.html') })).file)
  const whole = readFileSync(join(root, 'dist/report/LICENSES.txt'), 'utf8')
  expect(licences.replaceAll('&#60;', '<').replaceAll('&#62;', '>').replaceAll('&#38;', '&') === whole).toBe(true)
  for (const name of ['@observablehq/plot', 'd3-array', 'd3-scale', 'internmap', 'isoformat'])
    expect(new RegExp(`(^|, )${name} \\d+\\.\\d+\\.\\d+`, 'm').test(licences), name).toBe(true)
  expect(licences.includes('Observable, Inc.')).toBe(true)
})

test('above 20 MB the last sequences are left out, evenly over the runs, and nothing else', async () => {
  const large = (method: 'standard' | 'quest', browse: number) =>
    writeReport(at(`large-${method}`), madeReport(method, { browse, textBytes: 20_000 }))
  const few = writeReport(at('few'), madeReport('knn', { browse: 2 }))
  const { runs, bytes, file } = await report([large('standard', 90), few, large('quest', 70)], {
    out: at('large.html'),
  })
  expect(bytes).toBeLessThan(20_000_000)
  expect(bytes).toBeGreaterThan(19_000_000)
  expect(runs.map(({ sequences, leftOut }) => sequences + leftOut)).toEqual([90, 2, 70])
  expect(runs[1]).toMatchObject({ sequences: 2, leftOut: 0 })
  expect(Math.abs((runs[0]?.sequences ?? 0) - (runs[2]?.sequences ?? 0))).toBeLessThanOrEqual(1)
  const { page } = parts(file)
  expect(page.leftOut).toEqual(runs.map(({ leftOut }) => leftOut))
  const whole = madeReport('quest', { browse: 70, textBytes: 20_000 }).browse
  expect(page.browse[2]).toEqual(whole.slice(0, runs[2]?.sequences))
})

test('runs of one method are told apart by their directories', async () => {
  const made = madeReport('quest', { browse: 0 })
  const label = async (...paths: string[]) =>
    (
      await report(
        paths.map((path) => writeReport(at(path), made)),
        { out: at('labels.html') },
      )
    ).runs.map((run) => run.label)
  expect(await label('a/long', 'a/short')).toEqual(['quest · long', 'quest · short'])
  expect(await label('a/long', 'b/long')).toEqual([`quest · ${at('a/long')}`, `quest · ${at('b/long')}`])
  writeReport(at('a/long/holdout'), { ...made, part: 'holdout' })
  expect(
    (await report([at('a/long'), at('a/long/holdout')], { out: at('labels.html') })).runs.map((run) => run.label),
  ).toEqual(['quest', 'quest, holdout'])
})

test('a report is replaced and its directory made; another file or a directory is not touched', async () => {
  const out = at('new/deep/page.html')
  await report(outputs.slice(0, 1), { out })
  await report(outputs.slice(1, 2), { out })
  expect(parts(out).page.runs.map(({ label }) => label)).toEqual(['knn'])
  expect(readdirSync(at('new/deep'))).toEqual(['page.html'])
  writeFileSync(at('notes.html'), '<!doctype html><p>mine')
  mkdirSync(at('folder.html'))
  for (const [file, says] of [
    ['notes.html', 'is not a report of longweave'],
    ['folder.html', 'is a directory'],
  ] as const) {
    const error = await failure(() => report(outputs, { out: at(file) }))
    expect(error).toMatchObject({ code: 'OUTPUT_EXISTS', details: { file: at(file) } })
    expect(error.message).toContain(says)
  }
  expect(readFileSync(at('notes.html'), 'utf8')).toBe('<!doctype html><p>mine')
})

const { browse: _browse, ...withoutBrowse } = madeReport('quest')
const broken: [string, object | string, string, RegExp][] = [
  [
    'cut short',
    JSON.stringify(madeReport('quest')).slice(0, 1000),
    'FILE_CORRUPT',
    /report\.json is not JSON: .*; `longweave verify .*broken cut short` reports/,
  ],
  ['no object', '[]', 'FILE_CORRUPT', /names no format/],
  ['null', 'null', 'FILE_CORRUPT', /names no format/],
  ['without a part', withoutBrowse, 'FILE_CORRUPT', /`browse` is missing/],
  [
    'of a later format',
    { ...madeReport('quest'), format: 3, version: '9.1.0' },
    'VERSION_MISMATCH',
    /has format 3, this version reads 2: make the page with longweave 9\.1\.0/,
  ],
  [
    'of an earlier format',
    { ...madeReport('quest'), format: 1, version: '0.0.9' },
    'VERSION_MISMATCH',
    /has format 1, this version reads 2: make the page with longweave 0\.0\.9/,
  ],
]
test.each(broken)('a report.json that is %s is an error that names it', async (name, content, code, says) => {
  const error = await failure(() =>
    report([outputs[0] ?? '', writeReport(at(`broken ${name}`), content)], { out: at('broken.html') }),
  )
  expect(error).toMatchObject({ code, details: { file: join(at(`broken ${name}`), 'report.json') } })
  expect(error.message).toMatch(says)
  expect(existsSync(at('broken.html'))).toBe(false)
})

test('a directory without a report, no directory and the same one twice are errors', async () => {
  mkdirSync(at('empty'))
  for (const path of [at('empty'), at('nowhere'), at('notes.html')]) {
    expect(await failure(() => report([path], { out: at('x.html') }))).toMatchObject({
      code: 'OUTPUT_NOT_FOUND',
      message: expect.stringMatching(
        /holds no report\.json: it is not an output, or its run has not finished/,
      ) as string,
    })
  }
  expect(await failure(() => report([]))).toMatchObject({ code: 'OPTIONS_INVALID' })
  expect(await failure(() => report([at('out-knn'), `${at('out-knn')}/`]))).toMatchObject({
    code: 'OPTIONS_INVALID',
    message: expect.stringContaining('twice') as string,
  })
})

test('fields that a later version adds change nothing', async () => {
  const later = { ...madeReport('knn', { browse: 1 }), mood: 'fine' } as RunReport
  const { page } = parts((await report([writeReport(at('later'), later)], { out: at('later.html') })).file)
  expect(page.runs[0]?.report).toMatchObject({ method: 'knn', mood: 'fine' })
})

test('docs/report.md has every measure of the table', () => {
  const docs = readFileSync(join(root, 'docs/report.md'), 'utf8')
  for (const { name } of measures.flatMap(([, list]) => list))
    expect(docs).toMatch(new RegExp(`\\| (?:\\*\\*)?${name}(?:\\*\\*)? +\\|`))
})
