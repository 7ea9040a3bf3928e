// The page: the data that it holds, drawn.
import type { PageData } from '../run-report.ts'
import { browser } from './browse.ts'
import { h, table } from './dom.ts'
import { heads } from './figure.ts'
import { compact, count } from './format.ts'
import { measures } from './measures.ts'
import { runsOf, swatch } from './runs.ts'
import type { Run } from './runs.ts'
import { made, together, used } from './sections.ts'
import type { Section } from './sections.ts'

/** Light or dark as the system says, or as the button was set. */
function theme(): HTMLButtonElement {
  const names = ['system', 'light', 'dark']
  let at = 0
  const button = h('button', { type: 'button', class: 'theme' }, 'Theme: system')
  button.addEventListener('click', () => {
    at = (at + 1) % names.length
    document.documentElement.dataset['theme'] = names[at]
    button.textContent = `Theme: ${names[at]}`
  })
  return button
}

function card(run: Run): HTMLElement {
  const { length, sequences } = run.report
  const rows = [
    ['length', `${count(length)} tokens`],
    ['sequences', count(sequences)],
    ['tokens', compact(length * sequences)],
  ] as const
  // The label begins with the method.
  return h(
    'li',
    { class: 'card' },
    h('h2', {}, swatch(run), h('bdi', {}, run.label)),
    h('p', { class: 'directory' }, h('bdi', {}, run.directory)),
    h('dl', {}, ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
  )
}

/** Options that decide places and speed, not results. */
const apart = /^(output\.directory|work|threads|memory|queries\.(device|deviceMemory|onnxRuntime|checkpointSeconds))$/

function flat(value: unknown, path: string, into: Map<string, string>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    into.set(path, typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
  else for (const [name, inner] of Object.entries(value)) flat(inner, path === '' ? name : `${path}.${name}`, into)
}

/** The options in which the runs differ. */
function differences(runs: Run[]): [string, string[]][] {
  const all = runs.map(({ report }) => {
    const options = new Map<string, string>()
    flat(report.options, '', options)
    return options
  })
  const names = [...new Set(all.flatMap((options) => [...options.keys()]))].filter((name) => !apart.test(name))
  return names
    .map((name): [string, string[]] => [name, all.map((options) => options.get(name) ?? '–')])
    .filter(([, values]) => new Set(values).size > 1)
}

/** Differences because of which runs are not directly comparable. */
function cautions(runs: Run[]): string[] {
  const differ = (value: (run: Run) => number) => new Set(runs.map(value)).size > 1
  const tokens = runs.map(({ report }) => report.length * report.sequences)
  return [
    ...(differ(({ report }) => report.documents.corpus)
      ? ['corpus']
      : differ(({ report }) => report.documents.pool)
        ? ['pool, the documents that a method may use']
        : []),
    ...(differ(({ report }) => report.length) ? ['sequence length'] : []),
    ...(Math.max(...tokens) > 1.1 * Math.min(...tokens) ? ['number of tokens, by more than a tenth'] : []),
  ]
}

/** The measures, each with its definition, by run. */
function comparison(runs: Run[]): HTMLElement {
  const bodies = measures.flatMap(([title, list]) => {
    const rows = list.flatMap(({ name, about, show }) => {
      const values = runs.map(({ report }) => show(report))
      // A measure that no run has gets no row.
      if (values.every((value) => value === null)) return []
      const head = h('th', { scope: 'row' }, h('details', {}, h('summary', { title: about }, name), h('p', {}, about)))
      return [h('tr', {}, head, ...values.map((value) => h('td', {}, value ?? '–')))]
    })
    const group = h('tr', {}, h('th', { scope: 'rowgroup', colspan: String(runs.length + 1), class: 'group' }, title))
    return rows.length === 0 ? [] : [h('tbody', {}, group, ...rows)]
  })
  const head = h('tr', {}, ...['measure', ...heads(runs)].map((cell) => h('th', { scope: 'col' }, cell)))
  const region = { class: 'card scroll', tabindex: '0', role: 'region', 'aria-label': 'Measures of the runs' }
  return h(
    'section',
    {},
    h('h2', {}, 'In numbers'),
    h('p', { class: 'lead' }, 'Open a measure to read its definition.'),
    h('div', region, h('table', { class: 'measures' }, h('thead', {}, head), ...bodies)),
    ...differing(runs),
  )
}

/** The options in which the runs differ, if any. */
function differing(runs: Run[]): HTMLElement[] {
  const options = differences(runs).map(([name, values]) => [name, ...values.map((value) => h('bdi', {}, value))])
  if (options.length === 0) return []
  const summary = h('summary', {}, `Options in which the runs differ (${options.length})`)
  return [
    h(
      'details',
      { class: 'card options' },
      summary,
      h('div', { class: 'scroll' }, table(['option', ...heads(runs)], options)),
    ),
  ]
}

const section = ({ title, note, figures }: Section) =>
  h('section', {}, h('h2', {}, title), h('p', { class: 'lead' }, note), h('div', { class: 'figures' }, ...figures))

function draw(data: PageData): Element[] {
  const runs = runsOf(data)
  const differ = cautions(runs)
  document.title = `longweave report: ${runs.map(({ label }) => label).join(', ')}`
  return [
    h(
      'nav',
      { 'aria-label': 'Runs' },
      h('strong', {}, 'longweave report'),
      h('ul', {}, ...runs.map((run) => h('li', { class: 'run' }, swatch(run), h('bdi', {}, run.short)))),
      theme(),
    ),
    h(
      'main',
      {},
      h(
        'header',
        {},
        h('h1', {}, runs.length === 1 ? 'One run' : `${runs.length} runs side by side`),
        h('ul', { class: 'cards' }, ...runs.map(card)),
        ...(differ.length === 0
          ? []
          : [h('p', { class: 'notice' }, `Compare with care: the runs differ in ${differ.join(', and in ')}.`)]),
      ),
      section(together(runs)),
      comparison(runs),
      section(made(runs)),
      section(used(runs)),
      browser(runs),
    ),
  ]
}

document
  .querySelector('#page')
  ?.replaceWith(...draw(JSON.parse(document.querySelector('#data')?.textContent ?? '') as PageData))
