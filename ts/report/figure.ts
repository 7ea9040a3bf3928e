// A figure: heading, how to read it, plots that are redrawn for every width, and the same numbers as a table. Settings that all plots share.
import * as Plot from '@observablehq/plot'
import { h, onWidth } from './dom.ts'
import type { Child } from './dom.ts'
import { swatch } from './runs.ts'
import type { Run } from './runs.ts'

/** The parts of a figure. */
export interface Figure {
  title: string
  /** How to read it. */
  note: string
  /** Colours that are not the runs'. */
  legend?: [colour: string, name: string][]
  /** The plots for a width in pixels. */
  draw: (width: number) => Element[]
  numbers: HTMLElement
  /** Takes a whole row of figures. */
  wide?: boolean
}

/** A figure. */
export function figure({ title, note, legend = [], draw, numbers, wide = false }: Figure): HTMLElement {
  const place = h('div', { class: 'plot' })
  onWidth(place, (width) => place.replaceChildren(...draw(width)))
  const key = h(
    'ul',
    { class: 'key' },
    ...legend.map(([colour, name]) => h('li', {}, h('span', { class: 'chip', style: `background: ${colour}` }), name)),
  )
  return h(
    'figure',
    { class: wide ? 'card wide' : 'card' },
    h('figcaption', {}, h('h3', {}, title), h('p', {}, note), ...(legend.length > 0 ? [key] : [])),
    place,
    h('details', {}, h('summary', {}, 'Numbers'), h('div', { class: 'scroll' }, numbers)),
  )
}

/** A plot that says what it is to those who do not see it. */
export function plot(title: string, options: Plot.PlotOptions): Element {
  const drawn = Plot.plot({ ...options, style: { fontSize: '12px', fontFamily: 'inherit' } })
  drawn.setAttribute('role', 'img')
  drawn.setAttribute('aria-label', `${title}; a table with the numbers follows`)
  return drawn
}

/** An axis below: its name in the middle. */
export const below = (label: string, labelOffset = 36): Plot.ScaleOptions => ({
  label,
  labelAnchor: 'center',
  labelArrow: 'none',
  labelOffset,
})

/** Lines of a grid. */
export const grid = { stroke: 'var(--line)', strokeOpacity: 1 }

/** Names at the head of a table's columns. */
export const heads = (runs: Run[]): Child[] =>
  runs.map((run) => h('span', { class: 'run' }, swatch(run), h('bdi', {}, run.label)))

/** Room for the runs' names at the left. */
export const leftOf = (runs: Run[]) => Math.min(186, 18 + 7.4 * Math.max(...runs.map(({ short }) => short.length)))

/** The runs' names at the left of rows, each in its colour, and a second line below. */
export function names(runs: Run[], channel: 'y' | 'fy', second?: (run: Run) => string): Plot.Markish[] {
  const place = { [channel]: 'label', frameAnchor: 'left', textAnchor: 'end', dx: -10 } as const
  return [
    Plot.text(runs, { ...place, text: 'short', fill: 'colour', fontWeight: 600, dy: second ? -7 : 0 }),
    ...(second ? [Plot.text(runs, { ...place, text: second, fill: 'var(--muted)', dy: 8, fontSize: 11 })] : []),
  ]
}

export const sum = (list: number[]) => list.reduce((total, n) => total + n, 0)
