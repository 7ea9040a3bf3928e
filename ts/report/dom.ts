// Elements. Whatever a corpus holds goes into the page as text, never as markup.

const svgSpace = 'http://www.w3.org/2000/svg'

/** A child of an element: a node, or a string as text. */
export type Child = Node | string

/** An HTML element. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** An SVG element. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(svgSpace, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  element.append(...children)
  return element
}

/** A table: the first cell of each row is its header. */
export function table(head: Child[], rows: Child[][]): HTMLTableElement {
  const cells = (row: Child[]) => row.map((cell, i) => (i === 0 ? h('th', { scope: 'row' }, cell) : h('td', {}, cell)))
  return h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...head.map((cell) => h('th', { scope: 'col' }, cell)))),
    h('tbody', {}, ...rows.map((row) => h('tr', {}, ...cells(row)))),
  )
}

const sizes = new WeakMap<Element, (width: number) => void>()
const observer = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) if (contentRect.width > 0) sizes.get(target)?.(contentRect.width)
})

/** Calls `draw` with the element's width in pixels, now and whenever it changes. */
export function onWidth(element: Element, draw: (width: number) => void): void {
  let last = 0
  sizes.set(element, (width) => {
    const whole = Math.floor(width)
    if (whole === last) return
    last = whole
    draw(whole)
  })
  observer.observe(element)
}
