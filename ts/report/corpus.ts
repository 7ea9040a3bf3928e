// Keyword lists by size, and sources.
import * as Plot from '@observablehq/plot'
import type { ListSizeRange } from '../run-report.ts'
import { h, table } from './dom.ts'
import { below, figure, grid, plot, sum } from './figure.ts'
import { bits, clip, coarse, compact, count, percent, roundCompact, tick, upTo } from './format.ts'
import { swatch } from './runs.ts'
import type { Run } from './runs.ts'

const sizeName = ({ from, to }: ListSizeRange) => (from === to ? count(from) : `${count(from)}–${count(to)}`)

/** Keyword lists by their number of documents, with the line between the short set and the long lists. */
export function lists(run: Run, wide: boolean): HTMLElement {
  const { keywords } = run.report
  const title = `Keyword lists: ${run.label}`
  if (keywords === null) throw new Error('only runs with keywords have lists')
  const { sizes, short, shortDocuments, shortTokens, oversample } = keywords
  const kinds = [
    { kind: 'singletons', colour: 'var(--ink-4)', name: 'singletons, used once' },
    {
      kind: 'short',
      colour: run.colour,
      name: `short set, used ${oversample === null ? 'more than once' : `${upTo(oversample, 2)} times`}`,
    },
    { kind: 'long', colour: 'var(--ink-2)', name: 'long lists, used once' },
  ] as const
  const bars = sizes.flatMap((size, i) => {
    let y = 0
    return kinds.flatMap(({ kind, colour, name }) =>
      size[kind] === 0
        ? []
        : [
            {
              x1: i + 0.08,
              x2: i + 0.92,
              y1: y,
              y2: (y += size[kind]),
              colour,
              title: `${sizeName(size)} documents\n${count(size[kind])} keywords\n${name}`,
            },
          ],
    )
  })
  // Inside the bucket that has both kinds, in proportion to them.
  const at = sizes.findIndex(({ long }) => long > 0)
  const border = sizes[at]
  const partition = short === 0 || border === undefined ? null : at + border.short / (border.short + border.long)
  const totals = sizes
    .map((size, i) => ({ x: i + 0.5, y: size.singletons + size.short + size.long }))
    .filter(({ y }) => y > 0)
  const top = Math.max(1, ...totals.map(({ y }) => y))
  return figure({
    title,
    wide,
    note:
      `A keyword’s list holds its documents. The ${count(short)} shortest lists, except singletons, are the short set, which is oversampled: ` +
      `${count(shortDocuments)} documents, ${compact(shortTokens)} tokens. The line marks its end.`,
    legend: kinds.filter(({ kind }) => keywords[kind] > 0).map(({ colour, name }) => [colour, name]),
    draw(width) {
      const tilted =
        (width - 70) / Math.max(1, sizes.length) < 7.5 * Math.max(...sizes.map((size) => sizeName(size).length))
      const beside = { x: (x: number) => x, frameAnchor: 'top', dy: -10, fontWeight: 600 } as const
      return [
        plot(title, {
          width,
          height: 310,
          marginLeft: 54,
          marginRight: 12,
          marginTop: 52,
          marginBottom: tilted ? 68 : 46,
          x: {
            domain: [0, sizes.length],
            ticks: sizes.map((_, i) => i + 0.5),
            tickFormat: (x: number) => sizeName(sizes[Math.floor(x)] as ListSizeRange),
            tickSize: 0,
            tickRotate: tilted ? -40 : 0,
            ...below('documents of the keyword', tilted ? 62 : 40),
          },
          y: { domain: [0, top * 1.1], label: '↑ keywords', tickFormat: roundCompact, ticks: 5 },
          marks: [
            Plot.gridY({ ...grid, ticks: 5 }),
            Plot.rect(bars, { x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2', fill: 'colour', title: 'title', tip: true }),
            Plot.ruleY([0], { stroke: 'var(--muted)', strokeOpacity: 0.6 }),
            ...(partition === null
              ? []
              : [
                  Plot.ruleX([partition], { stroke: 'currentColor', strokeWidth: 1.5, strokeDasharray: '5 4' }),
                  Plot.text([partition], { ...beside, text: () => '◂ short set', textAnchor: 'end', dx: -6 }),
                  Plot.text([partition], { ...beside, text: () => 'long lists ▸', textAnchor: 'start', dx: 6 }),
                ]),
            Plot.text(totals, {
              x: 'x',
              y: 'y',
              text: ({ y }: { y: number }) => compact(y),
              dy: -9,
              fontSize: 11,
              fill: 'var(--muted)',
              stroke: 'var(--surface)',
              strokeWidth: 4,
            }),
          ],
        }),
      ]
    },
    numbers: table(
      ['documents of the keyword', 'singletons', 'short set', 'long lists'],
      sizes.map((size) => [sizeName(size), ...kinds.map(({ kind }) => count(size[kind]))]),
    ),
  })
}

/** Sources shown by name; the others are one row. */
const MOST_SOURCES = 12
const sourceName = (name: string) => (name === '' ? '(none)' : name)
const share = (list: number[], i: number) => (list[i] ?? 0) / Math.max(1, sum(list))

/** The sources' shares of the pool and of the output, a plot for each run; the sources in one order. */
export function sources(runs: Run[]): HTMLElement | null {
  const having = runs.flatMap((run) => (run.report.sources === null ? [] : [{ run, ...run.report.sources }]))
  if (having.length === 0) return null
  const most = new Map<string, number>()
  for (const { names, pool } of having)
    for (const [i, name] of names.entries()) most.set(name, Math.max(most.get(name) ?? 0, share(pool, i)))
  const order = [...most].toSorted(([, a], [, b]) => b - a).map(([name]) => name)
  const kept = order.slice(0, order.length > MOST_SOURCES ? MOST_SOURCES - 1 : MOST_SOURCES)
  const others = new Set(order.slice(kept.length))
  const plots = having.map(({ run, names, pool, output, divergence }) => {
    const together = (list: number[]) => sum(names.map((name, i) => (others.has(name) ? share(list, i) : 0)))
    const rows = kept.map((name) => ({
      name,
      pool: share(pool, names.indexOf(name)),
      output: share(output, names.indexOf(name)),
    }))
    if (others.size > 0)
      rows.push({ name: `${count(others.size)} others`, pool: together(pool), output: together(output) })
    return { run, divergence, rows: rows.map((row, place) => ({ ...row, place })) }
  })
  type Row = (typeof plots)[number]['rows'][number]
  const right = Math.max(0.01, ...plots.flatMap(({ rows }) => rows.flatMap((row) => [row.pool, row.output])))
  const title = 'Sources'
  return figure({
    title,
    wide: true,
    note:
      'Each source’s share of the tokens: in the pool (grey, behind) and in the output (coloured). ' +
      'The divergence of the two is 0 where a method keeps the sources’ shares, at most 1.',
    draw(width) {
      const rows = Math.ceil(plots.length / Math.max(1, Math.floor((width + 24) / 344)))
      const columns = Math.ceil(plots.length / rows)
      const each = Math.floor((width - 24 * (columns - 1)) / columns)
      return [
        h(
          'div',
          { class: 'columns', style: `grid-template-columns: repeat(${columns}, ${each}px)` },
          ...plots.map(({ run, divergence, rows: list }) =>
            h(
              'div',
              {},
              h(
                'p',
                { class: 'sub' },
                h('span', { class: 'run' }, swatch(run), h('bdi', {}, run.label)),
                ` diverges by ${bits(divergence)}`,
              ),
              plot(`${title} of ${run.label}`, {
                width: each,
                height: list.length * 25 + 46,
                marginLeft: Math.min(
                  each * 0.4,
                  20 + 7 * Math.max(...list.map(({ name }) => Math.min(18, sourceName(name).length))),
                ),
                marginRight: 40,
                marginTop: 2,
                marginBottom: 42,
                x: {
                  domain: [0, right],
                  tickFormat: tick,
                  ticks: Math.max(3, each / 140),
                  ...below('share of the tokens'),
                },
                y: {
                  domain: list.map(({ place }) => place),
                  type: 'band',
                  tickFormat: (place: number) => clip(sourceName(list[place]?.name ?? ''), 18),
                  label: null,
                  tickSize: 0,
                  padding: 0.16,
                },
                marks: [
                  Plot.barX(list, { y: 'place', x: 'pool', fill: 'var(--ink-4)' }),
                  Plot.barX(list, {
                    y: 'place',
                    x: 'output',
                    fill: run.colour,
                    insetTop: 5,
                    insetBottom: 5,
                    tip: true,
                    title: (row: Row) =>
                      `${sourceName(row.name)}\npool ${percent(row.pool)}\noutput ${percent(row.output)}`,
                  }),
                  Plot.text(list, {
                    y: 'place',
                    x: ({ pool, output }: Row) => Math.max(pool, output),
                    text: ({ output }: Row) => coarse(output),
                    textAnchor: 'start',
                    dx: 5,
                    fontSize: 11,
                    fill: 'var(--muted)',
                  }),
                ],
              }),
            ),
          ),
        ),
      ]
    },
    numbers: h(
      'div',
      { class: 'columns' },
      ...plots.map(({ run, rows }) =>
        table(
          [run.label, 'pool', 'output'],
          rows.map((row) => [h('bdi', {}, sourceName(row.name)), percent(row.pool), percent(row.output)]),
        ),
      ),
    ),
  })
}
