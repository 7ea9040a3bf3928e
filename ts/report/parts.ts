// Two kinds of figure: histograms in rows, and bars of parts of a whole.
import * as Plot from '@observablehq/plot'
import { h, table } from './dom.ts'
import { below, figure, heads, leftOf, names, plot, sum } from './figure.ts'
import { coarse, count, percent, tick } from './format.ts'
import type { Run } from './runs.ts'

/** A histogram in the measure's own buckets. */
export interface Histogram {
  title: string
  note: string
  label: string
  /** The unit that is counted. */
  unit: string
  buckets: string[]
  counts: (run: Run) => number[]
  /** The line below a run's name. */
  second: (run: Run) => string
}

/** Histograms of the runs' shares, one below the other. */
export function histograms(runs: Run[], { title, note, label, unit, buckets, counts, second }: Histogram): HTMLElement {
  const bars = runs
    .flatMap((run) => {
      const list = counts(run)
      const all = Math.max(1, sum(list))
      return buckets.map((bucket, i) => ({
        label: run.label,
        colour: run.colour,
        bucket,
        n: list[i] ?? 0,
        share: (list[i] ?? 0) / all,
      }))
    })
    .filter(({ n }) => n > 0)
  type Bar = (typeof bars)[number]
  const top = Math.max(0.01, ...bars.map(({ share }) => share))
  return figure({
    title,
    note,
    draw(width) {
      const marginLeft = Math.max(leftOf(runs), 96)
      const band = (width - marginLeft - 8) / buckets.length
      const tilted = band < 7.5 * Math.max(...buckets.map((name) => name.length))
      const marginBottom = tilted ? 68 : 44
      const place = { fy: 'label', x: 'bucket', y: 'share' }
      return [
        plot(title, {
          width,
          height: runs.length * 76 + marginBottom + 6,
          marginLeft,
          marginRight: 8,
          marginTop: 6,
          marginBottom,
          x: {
            type: 'band',
            domain: buckets,
            padding: 0.14,
            tickRotate: tilted ? -40 : 0,
            tickSize: 0,
            ...below(label, tilted ? 62 : 38),
          },
          y: { axis: null, domain: [0, top * 1.3] },
          fy: { domain: runs.map((run) => run.label), axis: null, padding: 0.06 },
          marks: [
            Plot.barY(bars, {
              ...place,
              fill: 'colour',
              tip: true,
              title: (bar: Bar) => `${bar.label}\n${bar.bucket}: ${count(bar.n)} ${unit} (${percent(bar.share)})`,
            }),
            Plot.ruleY([0], { stroke: 'var(--muted)', strokeOpacity: 0.6 }),
            ...(band < 26
              ? []
              : [
                  Plot.text(bars, {
                    ...place,
                    text: ({ share }: Bar) => coarse(share),
                    dy: -7,
                    fontSize: Math.min(11, band / 2.8),
                    fill: 'var(--muted)',
                  }),
                ]),
            ...names(runs, 'fy', second),
          ],
        }),
      ]
    },
    numbers: table(
      [label, ...heads(runs)],
      buckets.map((name, i) => [name, ...runs.map((run) => count(counts(run)[i] ?? 0))]),
    ),
  })
}

/** Parts that add up to a whole for each run. */
export interface Stack {
  title: string
  note: string
  label: string
  /** The unit that is counted. */
  unit: string
  parts: { name: string; colour: string; value: (run: Run) => number }[]
  /** The caption of the same bars without their first part, drawn where the other parts are too small to be seen. */
  magnified?: string
  wide?: boolean
}

/** Bars of equal length, divided. */
export function stacks(runs: Run[], { title, note, label, unit, parts, magnified, wide = false }: Stack): HTMLElement {
  const shown = parts.filter(({ value }) => runs.some((run) => value(run) > 0))
  const whole = (run: Run) => Math.max(1, sum(shown.map(({ value }) => value(run))))
  const cells = runs.flatMap((run) =>
    shown.map(({ name, colour, value }, i) => ({
      run,
      label: run.label,
      name,
      colour,
      first: i === 0,
      n: value(run),
      share: value(run) / whole(run),
    })),
  )
  type Cell = (typeof cells)[number]
  const others = cells.filter(({ first }) => !first)
  const rest = Math.max(...runs.map((run) => sum(others.filter((cell) => cell.run === run).map(({ share }) => share))))
  const bars = (width: number, list: Cell[], most: number) =>
    plot(title, {
      width,
      height: runs.length * 30 + 48,
      marginLeft: leftOf(runs),
      marginRight: 22,
      marginTop: 2,
      marginBottom: 44,
      x: { domain: [0, most], tickFormat: tick, ticks: Math.max(3, Math.min(10, width / 130)), ...below(label, 38) },
      y: { domain: runs.map((run) => run.label), axis: null, padding: 0.22 },
      marks: [
        Plot.barX(
          list.filter(({ n }) => n > 0),
          {
            y: 'label',
            x: 'share',
            z: 'name',
            fill: 'colour',
            insetLeft: 0.5,
            insetRight: 0.5,
            tip: true,
            title: (cell: Cell) => `${cell.label}\n${cell.name}: ${count(cell.n)} ${unit} (${percent(cell.share)})`,
          },
        ),
        ...names(runs, 'y'),
      ],
    })
  return figure({
    title,
    note,
    wide,
    legend: shown.map(({ name, colour }) => [colour, name]),
    draw: (width) => [
      bars(width, cells, 1),
      ...(magnified !== undefined && rest > 0 && rest < 0.25
        ? [h('p', { class: 'sub' }, magnified), bars(width, others, rest * 1.02)]
        : []),
    ],
    numbers: table(
      [unit, ...heads(runs)],
      shown.map(({ name, value }) => [
        name,
        ...runs.map((run) => `${count(value(run))} (${percent(value(run) / whole(run))})`),
      ]),
    ),
  })
}
