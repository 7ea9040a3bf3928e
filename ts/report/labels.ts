// Places of names next to marks, in pixels, so that names hide neither marks nor each other.

/** A rectangle. */
export interface Box {
  left: number
  right: number
  top: number
  bottom: number
}
const overlap = (a: Box, b: Box) =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top))
const sum = (list: number[]) => list.reduce((total, n) => total + n, 0)

/** A place for a name: how far from its point, and which end of it. */
export interface Place {
  dx: number
  dy: number
  textAnchor: 'start' | 'middle' | 'end'
}
const places: Place[] = (
  [
    [14, 0, 'start'],
    [-14, 0, 'end'],
    [0, -18, 'middle'],
    [0, 18, 'middle'],
    [10, -16, 'start'],
    [10, 16, 'start'],
    [-10, -16, 'end'],
    [-10, 16, 'end'],
  ] as const
).map(([dx, dy, textAnchor]) => ({ dx, dy, textAnchor }))

/** The place of each point's name: of eight around it the one that hides least. */
export function beside(points: { x: number; y: number; text: string }[], frame: Box): Place[] {
  const taken: Box[] = points.map(({ x, y }) => ({ left: x - 12, right: x + 12, top: y - 9, bottom: y + 9 }))
  return points.map(({ x, y, text }) => {
    const width = 8.5 * text.length
    const cost = (box: Box) => 4 * (width * 16 - overlap(box, frame)) + sum(taken.map((other) => overlap(box, other)))
    const boxes = places.map(({ dx, dy, textAnchor }): Box => {
      const left = x + dx - (textAnchor === 'start' ? 0 : textAnchor === 'end' ? width : width / 2)
      return { left, right: left + width, top: y + dy - 8, bottom: y + dy + 8 }
    })
    const costs = boxes.map(cost)
    const best = costs.indexOf(Math.min(...costs))
    taken.push(boxes[best] as Box)
    return places[best] as Place
  })
}

/** Heights at least `gap` apart, as near as may be to those wished for. */
export function apart(wished: number[], gap: number): number[] {
  const order = wished.map((_, i) => i).toSorted((a, b) => (wished[a] ?? 0) - (wished[b] ?? 0))
  const given = [...wished]
  // Neighbours that are too near push each other off, until none is.
  for (let pass = 0; pass < 50; pass += 1) {
    for (let n = 1; n < order.length; n += 1) {
      const [above, below] = [order[n - 1] as number, order[n] as number]
      const lack = gap - ((given[below] as number) - (given[above] as number))
      if (lack <= 0.01) continue
      given[above] = (given[above] as number) - lack / 2
      given[below] = (given[below] as number) + lack / 2
    }
  }
  return given
}
