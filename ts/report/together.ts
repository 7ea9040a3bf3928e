// How related and how redundant the documents of a sequence are.
import * as Plot from '@observablehq/plot'
import { table } from './dom.ts'
import { below, figure, grid, heads, leftOf, names, plot } from './figure.ts'
import { count, decimal, known, percent, tick } from './format.ts'
import { apart, beside } from './labels.ts'
import type { Run } from './runs.ts'

/** The end of an axis: sequences that lie far out do not press all others into a corner, so it has 99 of 100, and the means well inside. */
function end(values: number[], means: number[]): number {
  const far = values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
  return Math.max(0.02, far * 1.06, ...means.map((mean) => mean * 1.25))
}

/** Similarity against near-duplicates: the means, and behind them each sampled sequence. */
export function scatter(runs: Run[]): HTMLElement {
  const title = 'Similarity and near-duplicates'
  const means = runs.flatMap((run) => {
    const { similarity, nearDuplicates } = run.report.sample
    return similarity.mean === null || nearDuplicates.mean === null
      ? []
      : [{ run, x: similarity.mean, y: nearDuplicates.mean }]
  })
  const cloud = runs.flatMap(({ colour, report: { sample } }) =>
    sample.similarity.values.flatMap((x, i) => {
      const y = sample.nearDuplicates.values[i] ?? null
      return x === null || y === null ? [] : [{ x, y, colour }]
    }),
  )
  const left = Math.min(0, ...means.map(({ x }) => x))
  const right = end(
    cloud.map(({ x }) => x),
    means.map(({ x }) => x),
  )
  const top = end(
    cloud.map(({ y }) => y),
    means.map(({ y }) => y),
  )
  return figure({
    title,
    note:
      'A large mark is a run, a dot one of its sequences. Random order is at the lower left, nearest neighbours at the upper right. ' +
      'Long contexts need the lower right: related, not redundant.',
    draw(width) {
      const height = Math.round(Math.min(440, Math.max(300, width * 0.68)))
      const frame = { left: 54, right: width - 16, top: 32, bottom: height - 46 }
      const places = beside(
        means.map(({ x, y, run }) => ({
          x: frame.left + ((x - left) / (right - left)) * (frame.right - frame.left),
          y: frame.bottom - (y / top) * (frame.bottom - frame.top),
          text: run.short,
        })),
        frame,
      )
      const ticks = Math.max(3, width / 110)
      const corner = { fill: 'var(--muted)', fontStyle: 'italic', dy: 38 }
      return [
        plot(title, {
          width,
          height,
          marginLeft: frame.left,
          marginRight: 16,
          marginTop: frame.top,
          marginBottom: 46,
          x: {
            domain: [left, right],
            ticks,
            ...below(
              width < 380
                ? 'similarity'
                : width < 520
                  ? 'similarity (cosine)'
                  : 'similarity of the documents of a sequence (cosine)',
              40,
            ),
          },
          y: {
            domain: [0, top],
            label:
              width < 380 ? '↑ redundant: near-duplicates' : '↑ redundant: near-duplicates (share of the documents)',
            tickFormat: tick,
            ticks: 6,
          },
          marks: [
            Plot.gridX({ ...grid, ticks }),
            Plot.gridY({ ...grid, ticks: 6 }),
            Plot.dot(
              cloud.filter(({ x, y }) => x <= right && x >= left && y <= top),
              { x: 'x', y: 'y', fill: 'colour', r: 1.8, fillOpacity: 0.32 },
            ),
            Plot.text(['← unrelated'], { ...corner, frameAnchor: 'bottom-left' }),
            Plot.text(['related →'], { ...corner, frameAnchor: 'bottom-right' }),
            ...means.map((mean, i) =>
              Plot.text([mean], {
                x: 'x',
                y: 'y',
                text: ({ run }: typeof mean) => run.short,
                fill: mean.run.colour,
                stroke: 'var(--surface)',
                strokeWidth: 5,
                fontWeight: 700,
                fontSize: 13.5,
                ...places[i],
              }),
            ),
            ...means.map((mean) =>
              Plot.dot([mean], {
                x: 'x',
                y: 'y',
                fill: mean.run.colour,
                symbol: mean.run.symbol,
                r: 8,
                stroke: 'var(--surface)',
                strokeWidth: 2,
              }),
            ),
            Plot.tip(
              means,
              Plot.pointer({
                x: 'x',
                y: 'y',
                title: ({ run, x, y }: (typeof means)[number]) =>
                  `${run.label}\nsimilarity ${decimal(x, 3)}\nnear-duplicates ${percent(y)}`,
              }),
            ),
          ],
        }),
      ]
    },
    numbers: table(
      ['mean of the sampled sequences', ...heads(runs)],
      [
        ['similarity', ...runs.map(({ report }) => known(report.sample.similarity.mean, (x) => decimal(x, 3)))],
        ['near-duplicates', ...runs.map(({ report }) => known(report.sample.nearDuplicates.mean, percent))],
        ['sequences sampled', ...runs.map(({ report }) => count(report.sample.sequences))],
      ],
    ),
  })
}

/** distinct-n, a line for each run. */
export function distinct(runs: Run[]): HTMLElement {
  const title = 'Distinct n-grams'
  const points = runs.flatMap((run) =>
    run.report.sample.distinct.flatMap((y, i) => (y === null ? [] : [{ run, colour: run.colour, n: i + 1, y }])),
  )
  const longest = Math.max(1, ...points.map(({ n }) => n))
  const ends = points.filter(({ run, n }) => n === run.report.sample.distinct.length)
  return figure({
    title,
    note: 'The share of distinct runs among all runs of n tokens in a sequence. A low line means repeated wording.',
    draw(width) {
      const height = Math.round(Math.min(440, Math.max(260, width * 0.68)))
      const [marginTop, marginBottom] = [32, 46]
      const wished = ends.map(({ y }) => marginTop + (1 - y) * (height - marginTop - marginBottom))
      const given = apart(wished, 15)
      return [
        plot(title, {
          width,
          height,
          marginLeft: 54,
          marginRight: leftOf(runs) + 4,
          marginTop,
          marginBottom,
          x: {
            domain: [1, longest],
            ticks: Array.from({ length: longest }, (_, i) => i + 1),
            tickFormat: 'd',
            ...below('n: tokens in an n-gram', 40),
          },
          y: { domain: [0, 1], label: '↑ distinct (share of the n-grams)', tickFormat: tick, ticks: 5 },
          marks: [
            Plot.gridY({ ...grid, ticks: 5 }),
            Plot.line(points, {
              x: 'n',
              y: 'y',
              z: ({ run }: (typeof points)[number]) => run.label,
              stroke: 'colour',
              strokeWidth: 2,
            }),
            ...runs.map((run) =>
              Plot.dot(
                points.filter((point) => point.run === run),
                {
                  x: 'n',
                  y: 'y',
                  fill: run.colour,
                  symbol: run.symbol,
                  r: 4.5,
                  stroke: 'var(--surface)',
                  strokeWidth: 1,
                },
              ),
            ),
            ...ends.map((last, i) =>
              Plot.text([last], {
                x: 'n',
                y: 'y',
                text: ({ run }: typeof last) => run.short,
                fill: last.colour,
                fontWeight: 600,
                textAnchor: 'start',
                dx: 12,
                dy: (given[i] ?? 0) - (wished[i] ?? 0),
              }),
            ),
            Plot.tip(
              points,
              Plot.pointer({
                x: 'n',
                y: 'y',
                title: ({ run, n, y }: (typeof points)[number]) => `${run.label}\ndistinct-${n}: ${decimal(y, 3)}`,
              }),
            ),
          ],
        }),
      ]
    },
    numbers: table(
      ['', ...heads(runs)],
      Array.from({ length: longest }, (_, i) => [
        `distinct-${i + 1}`,
        ...runs.map(({ report }) => known(report.sample.distinct[i] ?? null, (x) => decimal(x, 3))),
      ]),
    ),
  })
}

function quantile(sorted: number[], q: number): number {
  const at = (sorted.length - 1) * q
  const [low, high] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
  return low + (high - low) * (at - Math.floor(at))
}

// Dots that would lie on each other are moved up and down, the same way each time.
const jitter = (i: number) => ((i * 0.618_034) % 1) * 1.5 - 0.75

/** A measure of the sampled sequences. */
interface Measured {
  title: string
  note: string
  measure: 'similarity' | 'nearDuplicates'
  label: string
  show: (x: number) => string
  tickFormat: (x: number) => string
}

/** How a measure of the sampled sequences is spread, a row for each run. */
export function strips(runs: Run[], { title, note, measure, label, show, tickFormat }: Measured): HTMLElement {
  const rows = runs.map((run) => {
    const { values, mean } = run.report.sample[measure]
    const sorted = values.filter((value) => value !== null).toSorted((a, b) => a - b)
    return {
      label: run.label,
      colour: run.colour,
      mean,
      n: sorted.length,
      low: quantile(sorted, 0.25),
      median: quantile(sorted, 0.5),
      high: quantile(sorted, 0.75),
    }
  })
  const dots = runs.flatMap((run) =>
    run.report.sample[measure].values.flatMap((x, i) =>
      x === null ? [] : [{ label: run.label, colour: run.colour, x, y: jitter(i) }],
    ),
  )
  const [boxes, means] = [rows.filter(({ n }) => n > 0), rows.filter(({ mean }) => mean !== null)]
  const domain = [Math.min(0, ...dots.map(({ x }) => x)), Math.max(0.02, ...dots.map(({ x }) => x)) * 1.03]
  return figure({
    title,
    note,
    draw(width) {
      const ticks = Math.max(3, width / 120)
      const line = { fy: 'label', x: 'mean', y1: -1.1, y2: 1.1 }
      return [
        plot(title, {
          width,
          height: runs.length * 50 + 50,
          marginLeft: leftOf(runs),
          marginRight: 18,
          marginTop: 4,
          marginBottom: 44,
          x: { domain, ticks, tickFormat, ...below(label, 38) },
          y: { domain: [-1.1, 1.1], axis: null },
          fy: { domain: runs.map((run) => run.label), axis: null, padding: 0.12 },
          marks: [
            Plot.gridX({ ...grid, ticks }),
            Plot.rect(boxes, {
              fy: 'label',
              x1: 'low',
              x2: 'high',
              y1: -1,
              y2: 1,
              fill: 'colour',
              fillOpacity: 0.22,
              rx: 3,
            }),
            Plot.dot(dots, { fy: 'label', x: 'x', y: 'y', fill: 'colour', fillOpacity: 0.45, r: 1.9 }),
            Plot.ruleX(means, { ...line, stroke: 'var(--surface)', strokeWidth: 6 }),
            Plot.ruleX(means, { ...line, stroke: 'colour', strokeWidth: 3 }),
            ...names(runs, 'fy', (run) => known(run.report.sample[measure].mean, show)),
          ],
        }),
      ]
    },
    numbers: table(
      ['of the sampled sequences', ...heads(runs)],
      [
        ['mean', ...rows.map(({ mean }) => known(mean, show))],
        ['median', ...rows.map(({ n, median }) => known(n === 0 ? null : median, show))],
        ['middle half', ...rows.map(({ n, low, high }) => (n === 0 ? '–' : `${show(low)} to ${show(high)}`))],
        ['sequences with two documents or more', ...rows.map(({ n }) => count(n))],
      ],
    ),
  })
}
