// The page that shows finished runs side by side: their report.json in, one HTML file out that needs nothing else.
import { createHash } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { LongweaveError, fromSystem } from './errors.ts'
import { OutputFile } from './output-file.ts'
import { packageUrl } from './package.ts'
import { REPORT_FORMAT } from './run-report.ts'
import type { PageData, PageRun, RunReport } from './run-report.ts'
import type { CallOptions } from './signal.ts'

/** A page stays below this many bytes: sequences to read are left out until it does. */
const MOST_BYTES = 20_000_000

/** The mark of a page that longweave wrote, near the beginning of the file. */
const GENERATOR = '<meta name="generator" content="longweave '

/** Options of `report`. */
export interface ReportOptions extends CallOptions {
  /** The file to write; an earlier report is replaced, another file is not. */
  out?: string
}

/** The page that was written. */
export interface WrittenReport {
  file: string
  bytes: number
  /** The runs as the page calls them, with how many of their sequences can be read there and how many were left out for the size. */
  runs: { label: string; directory: string; sequences: number; leftOut: number }[]
}

/**
 * Writes one HTML file that shows finished output directories side by side: measures, plots, sequences to read.
 * @throws LongweaveError `OUTPUT_NOT_FOUND` where a directory has no report.json, `VERSION_MISMATCH` and `FILE_CORRUPT` where it cannot be read, `OUTPUT_EXISTS` where
 * `out` is another file
 *
 * @example
 * ```ts
 * import { report } from 'longweave'
 *
 * const { file, bytes } = await report(['out'], { out: 'report.html' })
 * console.log(file, bytes)
 * ```
 */
export async function report(
  directories: string[],
  { out = 'report.html', signal }: ReportOptions = {},
): Promise<WrittenReport> {
  signal?.throwIfAborted()
  if (directories.length === 0)
    throw new LongweaveError('OPTIONS_INVALID', '`directories` must name at least one output directory', {
      option: 'directories',
    })
  const twice = directories.find(
    (directory, i) => directories.findIndex((other) => resolve(other) === resolve(directory)) !== i,
  )
  if (twice !== undefined)
    throw new LongweaveError('OPTIONS_INVALID', `\`directories\` names ${twice} twice`, { option: 'directories' })
  await refuseOthers(out)
  const reports = await Promise.all(directories.map(readReport))
  const parts = await pageParts()
  signal?.throwIfAborted()
  const names = labels(directories, reports)
  const runs = reports.map(({ browse: _browse, ...rest }, i): PageRun => ({
    label: names[i] ?? '',
    directory: directories[i] ?? '',
    report: rest,
  }))
  const browse = reports.map((one) => one.browse.map(embed))

  const bare = Buffer.byteLength(
    page(
      parts,
      runs,
      browse.map(() => []),
      browse.map((list) => list.length),
    ),
  )
  // One more byte each, for the comma between them.
  const kept = fit(
    browse.map((list) => list.map((text) => Buffer.byteLength(text) + 1)),
    MOST_BYTES - bare,
  )
  const leftOut = browse.map((list, i) => list.length - (kept[i] ?? 0))
  const bytes = Buffer.from(
    page(
      parts,
      runs,
      browse.map((list, i) => list.slice(0, kept[i])),
      leftOut,
    ),
  )
  signal?.throwIfAborted()
  await write(out, bytes)
  return {
    file: out,
    bytes: bytes.length,
    runs: runs.map(({ label, directory }, i) => ({
      label,
      directory,
      sequences: kept[i] ?? 0,
      leftOut: leftOut[i] ?? 0,
    })),
  }
}

async function readReport(directory: string): Promise<RunReport> {
  const file = join(directory, 'report.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if (!['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? ''))
      throw fromSystem(cause, 'read', file)
    throw new LongweaveError(
      'OUTPUT_NOT_FOUND',
      `${directory} holds no report.json: it is not an output, or its run has not finished`,
      { file },
      { cause },
    )
  }
  let value: Partial<RunReport> | null
  try {
    value = JSON.parse(text) as Partial<RunReport> | null
  } catch (cause) {
    throw new LongweaveError(
      'FILE_CORRUPT',
      `${file} is not JSON: ${(cause as Error).message}; \`longweave verify ${directory}\` reports what else is corrupt`,
      { file },
      { cause },
    )
  }
  if (typeof value !== 'object' || value === null || value.format === undefined)
    throw new LongweaveError('FILE_CORRUPT', `${file} is not a report: it names no format`, { file })
  if (value.format !== REPORT_FORMAT) {
    const { format, version = 'of the version that wrote it' } = value
    const message = `${file} has format ${String(format)}, this version reads ${REPORT_FORMAT}: make the page with longweave ${version}`
    throw new LongweaveError('VERSION_MISMATCH', message, { file })
  }
  const parts = [
    'documents',
    'tokens',
    'shares',
    'pieces',
    'documentsPerSequence',
    'groupsPerSequence',
    'rules',
    'sample',
    'browse',
  ] as const
  const missing = parts.find((name) => typeof value[name] !== 'object' || value[name] === null)
  if (missing !== undefined)
    throw new LongweaveError(
      'FILE_CORRUPT',
      `${file} is not a complete report: \`${missing}\` is missing; \`longweave verify ${directory}\` reports what else is corrupt`,
      { file },
    )
  return value as RunReport
}

const once = (list: string[], i: number) => list.filter((name) => name === list[i]).length === 1

/** Names of runs: their method; where several have it, with the directory's name; where that is the same too, with its path. */
function labels(directories: string[], reports: RunReport[]): string[] {
  const methods = reports.map(({ method, part }) => (part === 'main' ? method : `${method}, ${part}`))
  const named = methods.map((method, i) => `${method} · ${basename(resolve(directories[i] ?? ''))}`)
  return methods.map((method, i) =>
    once(methods, i) ? method : once(named, i) ? (named[i] ?? '') : `${method} · ${directories[i]}`,
  )
}

/** How many sequences of each run have room together: the last ones go first, from whichever run has most left. */
function fit(sizes: number[][], room: number): number[] {
  const kept = sizes.map((list) => list.length)
  let total = sizes.flat().reduce((sum, size) => sum + size, 0)
  while (total > room) {
    const run = kept.lastIndexOf(Math.max(...kept))
    const last = (kept[run] ?? 0) - 1
    if (last < 0) break
    total -= sizes[run]?.[last] ?? 0
    kept[run] = last
  }
  return kept
}

/** JSON that is safe in a script element, whatever texts it holds. */
function embed(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The build of ts/report, and the version. */
interface PageParts {
  version: string
  script: string
  style: string
  licences: string
}

const read = (path: string) => readFile(packageUrl(path), 'utf8')

async function pageParts(): Promise<PageParts> {
  try {
    const [script, style, licences, manifest] = await Promise.all([
      read('dist/report/app.js'),
      read('dist/report/app.css'),
      read('dist/report/LICENSES.txt'),
      read('package.json'),
    ])
    const { version } = JSON.parse(manifest) as { version: string }
    return { version, script, style, licences }
  } catch (cause) {
    throw new LongweaveError(
      'INTERNAL',
      `the report's page is not built (${(cause as Error).message}); in a clone, run \`npm run setup\``,
      {},
      { cause },
    )
  }
}

/** The whole page; `browse` holds each run's sequences as JSON. */
function page(
  { version, script, style, licences }: PageParts,
  runs: PageRun[],
  browse: string[][],
  leftOut: number[],
): string {
  const head = embed({ version, runs, leftOut } satisfies Omit<PageData, 'browse'>)
  const data = `${head.slice(0, -1)},"browse":[${browse.map((list) => `[${list.join(',')}]`).join(',')}]}`
  const hash = createHash('sha256').update(script).digest('base64')
  const policy = `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'`
  const shown = licences.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
${GENERATOR}${version}">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>longweave report</title>
<style>${style}</style>
<body>
<noscript>This page draws itself with the script that it holds: allow scripts for it.</noscript>
<div id="page"></div>
<footer>Made by longweave ${version} from report.json of each run.
<details><summary>Licences of the software in this page</summary><pre>${shown}</pre></details></footer>
<script type="application/json" id="data">${data}</script>
<script>${script}</script>
</html>
`
}

/** Only a report may be replaced. */
async function refuseOthers(file: string): Promise<void> {
  let start: string
  try {
    const handle = await open(file)
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0)
      start = buffer.toString('utf8', 0, bytesRead)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    if (code === 'EISDIR')
      throw new LongweaveError(
        'OUTPUT_EXISTS',
        `${file} is a directory; name a file for the report`,
        { file },
        { cause },
      )
    throw fromSystem(cause, 'read', file)
  }
  if (!start.includes(GENERATOR))
    throw new LongweaveError(
      'OUTPUT_EXISTS',
      `${file} exists and is not a report of longweave; name another file, or remove it`,
      { file },
    )
}

async function write(path: string, bytes: Buffer): Promise<void> {
  const file = await OutputFile.open(path)
  try {
    await file.write(bytes)
  } catch (error) {
    await file.abandon()
    throw error
  }
  await file.commit()
}
