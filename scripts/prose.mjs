// Lint of words: banned phrases, line lengths and dead links in Markdown; banned phrases in SVG, in strings and comments of TypeScript and Rust.
// Needs Node alone. `node scripts/prose.mjs [FILE…]` checks the files given, or all; it prints `file:line: problem` and exits with 1.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const COLUMNS = 100

/** Folders that hold no prose of ours. */
const SKIPPED = new Set([
  '.git',
  'node_modules',
  'target',
  'out',
  'dist',
  'binding',
  'fixtures',
  'generated',
  '.vitepress',
])

/** A phrase and what to write for it. A lookbehind or lookahead leaves the idioms that are good English. */
const PHRASES = [
  [/\btold\b/i, 'reported, shown, given, known'],
  [/\b(?:stands?|standing|stood)\b(?! (?:for|out|alone)\b)/i, 'is, lies, appears, begins'],
  [/\bbesides?\b/i, 'next to, in addition to, and'],
  [/\banew\b/i, 'again, from the start'],
  [/\bso many\b/i, 'as many, that many, the number'],
  [/\b(?:go|goes|going|went|gone) on\b/i, 'continue, resume, proceed'],
  [/\b(?:take|takes|taken|took) up\b/i, 'resume, reuse, occupy'],
  [/\bbehind each other\b/i, 'one after another, concatenated'],
  [/(?<!\bthere )\b(?:is|are|was|were|be) none\b/i, 'is not, does not exist'],
  [
    /(?<!\b(?:there|it|this) )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b|fewer\b|later\b|larger\b)/i,
    'is not a …, has no …',
  ],
  [/\bhas not (?:one|a|an)\b/i, 'lacks, does not have'],
  [/(?:^|[.!?:] )What (?![^.]*\?)/, 'a noun as the subject ("The contents of …")'],
  [/; whether (?:it|there|one|a) (?:was|is|did|does|were)\b/i, '"Returns whether …"'],
  [/\bwhoever\b/i, 'a reader, a process that, anyone who'],
  [/\bmend(?:s|ed|ing)?\b/i, 'repair, fix'],
  [/\bfound out\b/i, 'detected'],
  [/\bbut for\b/i, 'except'],
  [/\bthat say(?:s)? nothing\b/i, 'boilerplate'],
  [/\ball the same\b/i, 'too, nevertheless'],
  [/\bas it is none\b/i, 'because it is not one'],
  [/\bis to become\b|\bare to become\b/i, 'will be, should be'],
  [/\bwithout a word\b/i, 'without a message'],
  [/\bon its way\b/i, 'in progress'],
  [/\bmeans harm\b/i, 'untrusted'],
]

const problems = []
const problem = (file, line, text) => problems.push(`${file}:${line}: ${text}`)

function files(directory = '') {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = directory === '' ? entry.name : `${directory}/${entry.name}`
    if (entry.isDirectory())
      return SKIPPED.has(entry.name) || path === 'fuzz/corpus' || path === 'site/pages' ? [] : files(path)
    return /\.(?:md|svg|rs|ts|mjs)$/.test(entry.name) && !entry.name.endsWith('.d.ts') ? [path] : []
  })
}

/** Banned phrases of a text that begins in `line`; the text may span lines, and a phrase may too. */
function phrases(file, line, text) {
  const flat = text.replaceAll('\n', ' ')
  for (const [pattern, instead] of PHRASES) {
    for (const { 0: found, index } of flat.matchAll(new RegExp(pattern.source, `${pattern.flags}g`)))
      problem(file, line + text.slice(0, index).split('\n').length - 1, `"${found.trim()}": write ${instead}`)
  }
}

/** A heading's anchor, as GitHub makes it. */
const slug = (heading) =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll('`', '')
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
    .replaceAll(' ', '-')

/** Markdown in blocks of prose: code is cut out, addresses of links are, lines keep their numbers. */
function markdown(text) {
  const lines = text.split('\n')
  const blocks = []
  const headings = []
  let fence
  let block
  for (const [i, line] of lines.entries()) {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1]
    if (fence !== undefined) {
      if (mark?.startsWith(fence)) fence = undefined
      block = undefined
      continue
    }
    if (mark !== undefined) {
      fence = mark
      block = undefined
      continue
    }
    const heading = /^#{1,6} (.*)$/.exec(line)
    if (heading) headings.push(heading[1])
    const table = line.startsWith('|')
    const starts = table || heading || /^\s*(?:[-*]|\d+\.) |^\s*$|^> /.test(line)
    if (block === undefined || starts || block.single) {
      block = { line: i + 1, lines: [], single: table || heading !== null, table }
      blocks.push(block)
    }
    block.lines.push(line)
  }
  return { blocks, headings, lines }
}

const anchors = new Map()
function anchorsOf(path) {
  if (!anchors.has(path)) {
    const text = readFileSync(path, 'utf8')
    const seen = new Map()
    const found = new Set([...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map((match) => match[1]))
    for (const heading of markdown(text).headings) {
      const name = slug(heading)
      const count = seen.get(name) ?? 0
      seen.set(name, count + 1)
      found.add(count === 0 ? name : `${name}-${count}`)
    }
    anchors.set(path, found)
  }
  return anchors.get(path)
}

function link(file, line, target) {
  if (/^[a-z][a-z+.-]*:/i.test(target)) return
  const [path, anchor] = target.split('#')
  const full = path === '' ? join(root, file) : resolve(root, dirname(file), decodeURI(path))
  if (relative(root, full).startsWith('..')) return problem(file, line, `${target} leads out of the repository`)
  if (!existsSync(full)) return problem(file, line, `${target} does not exist`)
  if (anchor !== undefined && full.endsWith('.md') && !anchorsOf(full).has(anchor))
    problem(file, line, `${path || file} has no heading #${anchor}`)
}

/** Paths in code spans of the pages that describe the tree: from the root, or from crates/ with or without src/. */
function treePath(file, line, path) {
  if (!/^[\w.-]+(?:\/[\w.-]+)*\/?$/.test(path) || !/\/$|\.(?:rs|ts|mjs|md|py|svg)$/.test(path) || !path.includes('/'))
    return
  const [first] = path.split('/')
  const places = existsSync(join(root, first))
    ? [path]
    : existsSync(join(root, 'crates', first))
      ? [`crates/${path}`, `crates/${path.replace('/', '/src/')}`]
      : []
  if (places.length > 0 && !places.some((place) => existsSync(join(root, place))))
    problem(file, line, `\`${path}\` does not exist`)
}

function checkMarkdown(file) {
  const { blocks, lines } = markdown(readFileSync(join(root, file), 'utf8'))
  for (const { line, lines: raw, table } of blocks) {
    const text = raw.join('\n')
    const at = (index) => line + text.slice(0, index).split('\n').length - 1
    const code = text.replaceAll(/`[^`]*`/g, (span) => span.replaceAll(/[^\n]/g, ' '))
    for (const match of code.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g))
      link(file, at(match.index), match[1])
    if (file === 'ARCHITECTURE.md' || file === 'CONTRIBUTING.md')
      for (const match of text.matchAll(/`([^`]+)`/g)) treePath(file, at(match.index), match[1])
    const prose = text
      .replaceAll(/<!--[\s\S]*?-->/g, '')
      .replaceAll(/`[^`]*`/g, 'X')
      .replaceAll(/\]\([^)]*\)/g, ']')
    for (const part of table
      ? prose.split('|').map((cell) => cell.trim())
      : [prose.replace(/^[\s>#*-]*(?:\d+\. )?/, '')]) {
      phrases(file, line, part.replaceAll(/[*_[\]!]/g, ''))
      if (table && part === 'what') problem(file, line, 'a column "what": write contents, purpose, meaning')
    }
    for (const [i, one] of raw.entries())
      if (!table && one.replaceAll(/\]\([^)]*\)|`[^`]*`/g, '').length > COLUMNS && !/^!\[|^\s*<[!a-z]/.test(one))
        problem(file, line + i, `${one.length} columns; ${COLUMNS} are the most`)
  }
  return lines
}

const count = (text) => text.split('\n').length - 1

/** Strings and comments of TypeScript or Rust: `{ kind, line, text }`. Neighbouring line comments are one text. */
function scan(source, rust) {
  const found = []
  let line = 1
  let i = 0
  let before = ''
  const take = (kind, length, text) => {
    const last = found.at(-1)
    if (kind === 'comment' && last?.kind === 'comment' && last.end === line - 1 && last.joins && text !== undefined) {
      last.text += `\n${text}`
      last.end = line
    } else
      found.push({
        kind,
        line,
        text,
        end: line + count(source.slice(i, i + length)),
        joins: source.startsWith('//', i),
      })
    line += count(source.slice(i, i + length))
    i += length
  }
  const string = (quote) => {
    let end = i + 1
    while (end < source.length && source[end] !== quote) end += source[end] === '\\' ? 2 : 1
    take(
      'string',
      end + 1 - i,
      source
        .slice(i + 1, end)
        .replaceAll(/\\\n\s*/g, ' ')
        .replaceAll(/\\(.)/g, '$1'),
    )
  }
  const template = () => {
    let end = i + 1
    let depth = 0
    let text = ''
    for (; end < source.length && (depth > 0 || source[end] !== '`'); end += 1) {
      if (source[end] === '\\') end += 1
      else if (source.startsWith('${', end)) depth += 1
      else if (depth > 0 && source[end] === '{' && source[end - 1] !== '$') depth += 1
      else if (depth > 0 && source[end] === '}') depth -= 1
      else if (depth === 0) text += source[end]
    }
    take('string', end + 1 - i, text)
  }
  while (i < source.length) {
    const rest = source.slice(i, i + 300)
    let match
    if (
      (match = /^\/\/[/!]?[^\n]*/.exec(
        source.slice(i, source.indexOf('\n', i) === -1 ? undefined : source.indexOf('\n', i)),
      ))
    )
      take('comment', match[0].length, match[0].replace(/^\/\/[/!]? ?/, ''))
    else if (source.startsWith('/*', i)) {
      const end = source.indexOf('*/', i) + 2
      take('comment', end - i, source.slice(i, end).replaceAll(/^\s*(?:\/\*\*?|\*\/?) ?|\*\/$/gm, ''))
    } else if (rust && (match = /^b?r(#*)"/.exec(rest)) && !/\w/.test(before)) {
      const end = source.indexOf(`"${match[1]}`, i + match[0].length)
      take('string', end + 1 + match[1].length - i, source.slice(i + match[0].length, end))
    } else if (rust && (match = /^'(?:\\(?:u\{[0-9a-fA-F]+\}|x..|.)|[^\\'])'/u.exec(rest))) i += match[0].length
    else if (source[i] === '"' || (!rust && source[i] === "'")) string(source[i])
    else if (!rust && source[i] === '`') template()
    else if (
      !rust &&
      source[i] === '/' &&
      /[(,=:[!&|?{};\n>]|^$/.test(before) &&
      (match = /^\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/[a-z]*/.exec(rest))
    )
      i += match[0].length
    else {
      if (source[i] === '\n') line += 1
      if (!/\s/.test(source[i])) before = source[i]
      i += 1
      continue
    }
    before = '"'
  }
  return found
}

/** The words of a name or sentence without articles and endings of plurals. */
const words = (text) =>
  [...text.matchAll(/[A-Z]?[a-z0-9]+|[A-Z]+/g)]
    .map(([word]) => word.toLowerCase())
    .filter((word) => !['a', 'an', 'the', 'its', 'their', 'of', 'this'].includes(word))
    .map((word) => word.replace(/(?:ies|es|s)$/, ''))

/** Doc comments of Rust: one that only repeats its item's name, and a public function with arguments that has none. */
function docs(file, source) {
  const lines = source.split('\n')
  const doc = (i) => /^\s*\/\/\/ ?(.*)$/.exec(lines[i] ?? '')?.[1]
  for (const [i] of lines.entries()) {
    const only = doc(i)
    if (only !== undefined && doc(i - 1) === undefined && doc(i + 1) === undefined) {
      let next = i + 1
      while (/^\s*#\[/.test(lines[next] ?? '')) next += 1
      const item =
        /^\s*(?:pub(?:\([^)]*\))? )?(?:(?:const |unsafe |async )*fn |struct |enum |trait |type |const |static |mod )?(\w+)/.exec(
          lines[next] ?? '',
        )
      const said = words(only)
      if (item && said.length > 0 && said.every((word) => words(item[1]).includes(word)))
        problem(file, i + 1, `"${only}" repeats the name: write a fact, or nothing`)
    }
    const declared = /^\s*pub (?:const |unsafe |async )*fn (\w+)(?:<[^(]*>)?\((?!&?(?:mut )?self\)|\))/.exec(lines[i])
    if (declared) {
      let before = i - 1
      while (/^\s*#\[/.test(lines[before] ?? '')) before -= 1
      if (doc(before) === undefined) problem(file, i + 1, `the public function ${declared[1]} has no doc comment`)
    }
  }
}

const arguments_ = process.argv.slice(2).map((path) => relative(root, resolve(path)).split(sep).join('/'))
const all = arguments_.length > 0 ? arguments_ : files()
for (const file of all) {
  if (!statSync(join(root, file)).isFile()) continue
  if (file.endsWith('.md')) checkMarkdown(file)
  else if (file.endsWith('.svg')) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const match of text.matchAll(/<(?:text|title|desc|tspan)\b[^>]*>([^<]*)/g))
      phrases(file, text.slice(0, match.index).split('\n').length, match[1])
  } else if (file !== 'scripts/prose.mjs') {
    const rust = file.endsWith('.rs')
    if (/^crates\/[^/]+\/src\//.test(file)) docs(file, readFileSync(join(root, file), 'utf8'))
    const prose = rust ? () => true : ({ kind }) => kind === 'comment' || file.startsWith('ts/')
    for (const { line, text, kind } of scan(readFileSync(join(root, file), 'utf8'), rust).filter(prose))
      // A string of words alone is a list, not prose.
      if (kind === 'comment' || (/\s/.test(text) && !/^[a-z' ]{200,}$/.test(text)))
        phrases(file, line, text.replaceAll(/`[^`]*`/g, 'X'))
  }
}
if (problems.length > 0) {
  console.error(problems.join('\n'))
  console.error(`\n${problems.length} problems of words, lines or links.`)
  process.exit(1)
}
console.log(`${all.length} files: phrases, line lengths and links are good.`)
