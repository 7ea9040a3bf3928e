// Sequences to read: a band of documents for each run, in proportion to their tokens, and the text of the open one.
import type { ReportPiece, ReportSequence } from '../run-report.ts'
import { bandOf, middle, widest } from './band.ts'
import type { Part } from './band.ts'
import { h, onWidth, s } from './dom.ts'
import { clip, count, counted, percent, squeeze } from './format.ts'
import { ruleName } from './methods.ts'
import { facts, kinOf } from './pieces.ts'
import { swatch } from './runs.ts'
import type { Run } from './runs.ts'

/** Pixels of a character in a band, about. */
const CHARACTER = 7.6

/** The pane with the texts of the sequence whose document was opened last. */
class Reader {
  readonly element = h(
    'div',
    { class: 'reader card', role: 'region', tabindex: '0', 'aria-label': 'Text of the sequence' },
    h('p', { class: 'empty' }, 'Choose a document to read its text here, with its neighbours in the sequence.'),
  )
  #shown: ReportSequence | null = null

  open(run: Run, sequence: ReportSequence, index: number): void {
    if (this.#shown !== sequence) this.#show(run, sequence)
    for (const [i, article] of [...this.element.querySelectorAll('article')].entries()) {
      article.classList.toggle('open', i === index)
      if (i === index)
        this.element.scrollTop = article.offsetTop - (this.element.querySelector('header')?.offsetHeight ?? 0)
    }
    this.element.scrollIntoView({ block: 'nearest' })
  }

  #show(run: Run, sequence: ReportSequence): void {
    const { method } = run.report
    const kin = kinOf(method, sequence.pieces)
    const { tokenCount, pieces, rule, phrase } = sequence
    this.element.replaceChildren(
      h(
        'header',
        {},
        h('h3', {}, swatch(run), h('bdi', {}, run.label), ` · sequence ${count(sequence.index)}`),
        h(
          'p',
          {},
          `${counted(tokenCount, 'token')} from ${counted(pieces.length, 'document')}; ${ruleName(method, rule)}`,
          ...(phrase === null ? [] : [', all under “', h('bdi', {}, phrase), '”']),
        ),
      ),
      ...pieces.map((piece, i) =>
        h(
          'article',
          { style: `border-color: ${kin[i]?.colour}` },
          h('h4', {}, h('bdi', {}, piece.docId)),
          h('p', { class: 'facts' }, ...facts(method, piece, sequence).map((fact) => h('bdi', {}, fact))),
          h('p', { class: 'text', dir: 'auto' }, piece.text),
          ...(piece.textCut
            ? [
                h(
                  'p',
                  { class: 'empty' },
                  `… cut here; the whole text: longweave show ${run.directory} ${sequence.index} --words ${piece.length}`,
                ),
              ]
            : []),
        ),
      ),
    )
    this.#shown = sequence
  }
}

/** A run's sequences: a choice of one, its band, what the band's documents are. */
class Strip {
  readonly element: HTMLElement
  readonly #run: Run
  readonly #reader: Reader
  readonly #band = h('div', { class: 'band' })
  readonly #about = h('p', { class: 'about' })
  readonly #key = h('ul', { class: 'key' })
  readonly #choice: HTMLSelectElement
  #width = 0
  #options: SVGGElement[] = []
  /** Where each option is: its widest part. */
  #spots: (Part | undefined)[] = []
  /** The piece that the keyboard is at, and the one whose text is open. */
  #at = 0
  #opened: number | null = null

  constructor(run: Run, reader: Reader) {
    this.#run = run
    this.#reader = reader
    this.#choice = h(
      'select',
      { 'aria-label': `Sequence of ${run.label}` },
      ...run.browse.map((sequence, i) =>
        h(
          'option',
          { value: String(i) },
          [
            `sequence ${count(sequence.index)}`,
            counted(sequence.pieces.length, 'document'),
            ruleName(run.report.method, sequence.rule),
            ...(sequence.phrase === null ? [] : [clip(sequence.phrase, 40)]),
          ].join(' · '),
        ),
      ),
    )
    this.#choice.addEventListener('change', () => this.#choose(this.#choice.selectedIndex))
    const step = (by: number, label: string, sign: string) => {
      const button = h('button', { type: 'button', 'aria-label': `${label} sequence of ${run.label}` }, sign)
      button.addEventListener('click', () =>
        this.#choose(Math.min(run.browse.length - 1, Math.max(0, this.#choice.selectedIndex + by))),
      )
      return button
    }
    const head = h('h3', {}, swatch(run), h('bdi', {}, run.label))
    this.element =
      run.browse.length === 0
        ? h('div', { class: 'strip' }, head, h('p', { class: 'empty' }, 'No sequences to read.'))
        : h(
            'div',
            { class: 'strip' },
            h('div', { class: 'choice' }, head, step(-1, 'Previous', '‹'), this.#choice, step(1, 'Next', '›')),
            this.#band,
            this.#about,
            this.#key,
          )
    if (run.browse.length === 0) return
    this.#band.addEventListener('keydown', (event) => this.#pressed(event))
    onWidth(this.#band, (width) => {
      this.#width = width
      this.#draw()
    })
    this.#choose(0)
  }

  get #sequence(): ReportSequence {
    return this.#run.browse[this.#choice.selectedIndex] as ReportSequence
  }

  #choose(index: number): void {
    this.#choice.selectedIndex = index
    this.#at = 0
    this.#opened = null
    const kin = [...new Set(kinOf(this.#run.report.method, this.#sequence.pieces))].toSorted(
      (a, b) => b.tokens - a.tokens,
    )
    const most = 5
    this.#key.replaceChildren(
      ...kin
        .slice(0, most)
        .map(({ name, colour, pieces, tokens }) =>
          h(
            'li',
            {},
            h('span', { class: 'chip', style: `background: ${colour}` }),
            h('bdi', {}, clip(name, 40)),
            `: ${counted(pieces, 'document')}, ${percent(tokens / this.#sequence.tokenCount)}`,
          ),
        ),
      ...(kin.length > most ? [h('li', {}, `and ${kin.length - most} more`)] : []),
    )
    this.#tell(0)
    this.#draw()
  }

  #draw(): void {
    if (this.#width === 0) return
    const focused = this.#band.contains(document.activeElement)
    const { pieces, tokenCount, index } = this.#sequence
    const { length, method } = this.#run.report
    const band = bandOf(pieces.length, length, this.#width)
    const kin = kinOf(method, pieces)
    const parts = pieces.map(({ start, length: tokens }) => band.parts(start, tokens))
    this.#spots = parts.map(widest)
    this.#options = pieces.map((piece, i) => this.#option(piece, i, parts[i] ?? [], kin[i]?.colour ?? ''))
    const padding = s('g', { class: 'padding' }, s('title', {}, `padding: ${counted(length - tokenCount, 'token')}`))
    for (const { x, y, width, height } of band.parts(tokenCount, length - tokenCount))
      padding.append(s('rect', { x, y, width, height, rx: 2 }))
    const size = { width: this.#width, height: band.height, viewBox: `0 0 ${this.#width} ${band.height}` }
    const label = `Documents of sequence ${count(index)} of ${this.#run.label}`
    this.#band.replaceChildren(
      s(
        'svg',
        size,
        s('g', { role: 'listbox', 'aria-orientation': 'horizontal', 'aria-label': label }, ...this.#options),
        padding,
      ),
    )
    if (focused) this.#options[this.#at]?.focus()
  }

  #option(piece: ReportPiece, index: number, parts: Part[], fill: string): SVGGElement {
    const place = this.#spots[index]
    const { method } = this.#run.report
    const label = `${piece.docId}: ${facts(method, piece, this.#sequence).join(', ')}`
    const option = s(
      'g',
      {
        role: 'option',
        'aria-selected': String(index === this.#opened),
        'aria-label': label,
        tabindex: index === this.#at ? 0 : -1,
      },
      ...parts.map(({ x, y, width, height }) => s('rect', { x, y, width, height, rx: 2, fill })),
    )
    const room = place === undefined ? 0 : Math.floor((place.width - 8) / CHARACTER)
    if (place !== undefined && room >= 5) {
      // Only of a keyword is the reason the more telling name: elsewhere it is another document's id.
      const name = method === 'quest' && piece.reason !== null ? clip(piece.reason, room) : squeeze(piece.docId, room)
      option.append(s('text', { x: place.x + 5, y: place.y + place.height / 2, 'dominant-baseline': 'central' }, name))
    }
    option.addEventListener('pointerenter', () => this.#tell(index))
    option.addEventListener('click', () => this.#open(index))
    option.addEventListener('focus', () => {
      this.#at = index
      // One stop for Tab: where the arrow keys left off.
      for (const [i, other] of this.#options.entries()) other.setAttribute('tabindex', i === index ? '0' : '-1')
      this.#tell(index)
    })
    return option
  }

  #tell(index: number): void {
    const piece = this.#sequence.pieces[index]
    if (piece !== undefined)
      this.#about.replaceChildren(
        h('bdi', { class: 'id' }, clip(piece.docId, 120)),
        ...facts(this.#run.report.method, piece, this.#sequence).map((fact) => h('bdi', {}, clip(fact, 120))),
      )
  }

  #open(index: number): void {
    this.#opened = index
    for (const [i, option] of this.#options.entries()) option.setAttribute('aria-selected', String(i === index))
    this.#tell(index)
    this.#reader.open(this.#run, this.#sequence, index)
  }

  /** The option in the row above or below that is nearest; the next in this row where there is none. */
  #across(by: 1 | -1): number {
    const here = this.#spots[this.#at]
    const distance = (i: number) => Math.abs(middle(this.#spots[i]) - middle(here))
    const there = this.#spots.flatMap((part, i) =>
      part !== undefined && part.row === (here?.row ?? 0) + by ? [i] : [],
    )
    return there.length === 0
      ? this.#at + by
      : there.reduce((nearest, i) => (distance(i) < distance(nearest) ? i : nearest))
  }

  #pressed(event: KeyboardEvent): void {
    const last = this.#options.length - 1
    const moves: Record<string, () => number> = {
      ArrowRight: () => this.#at + 1,
      ArrowLeft: () => this.#at - 1,
      ArrowDown: () => this.#across(1),
      ArrowUp: () => this.#across(-1),
      Home: () => 0,
      End: () => last,
    }
    const move = moves[event.key]
    if (move !== undefined) this.#options[Math.min(last, Math.max(0, move()))]?.focus()
    else if (event.key === 'Enter' || event.key === ' ') this.#open(this.#at)
    else return
    event.preventDefault()
  }
}

/** The section in which sequences are read. */
export function browser(runs: Run[]): HTMLElement {
  const reader = new Reader()
  const lead =
    'Each band is a sequence; the width of a part is the number of the document’s tokens. Documents of one keyword, anchor or path share a colour; ' +
    'grey documents came by chance. Click a document to read it, or move along a band with the arrow keys and press Enter.'
  const left = runs
    .filter(({ leftOut }) => leftOut > 0)
    .map(
      ({ label, leftOut, browse }) => `${counted(leftOut, 'sequence')} of ${label} (${count(browse.length)} are here)`,
    )
  return h(
    'section',
    { id: 'sequences' },
    h('h2', {}, 'Read the sequences'),
    h('p', { class: 'lead' }, lead),
    ...(left.length > 0
      ? [h('p', { class: 'notice' }, `Left out to keep the page below 20 MB: ${left.join('; ')}.`)]
      : []),
    h(
      'div',
      { class: 'browse' },
      h('div', { class: 'card strips' }, ...runs.map((run) => new Strip(run, reader).element)),
      reader.element,
    ),
  )
}
