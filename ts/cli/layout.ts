// Text in lines of at most 80 columns.

/** Columns of a terminal that help is made for. */
export const WIDTH = 80

/** `text` in lines that begin with `indent` spaces, broken at spaces. A word longer than a line stays whole. */
export function wrap(text: string, indent = 0, width = WIDTH): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (line !== '' && indent + line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  if (line !== '') lines.push(line)
  return lines.map((one) => `${' '.repeat(indent)}${one}`).join('\n')
}

/** A shell command in lines that end with a backslash; broken before flags, so that it can be pasted. */
export function wrapCommand(command: string, indent = 2, width = WIDTH): string {
  const parts = command.split(/ (?=--)/)
  const lines: string[] = []
  let line = ''
  for (const part of parts) {
    const room = width - (lines.length === 0 ? indent : indent + 4) - 2
    if (line !== '' && line.length + 1 + part.length > room) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? part : ` ${part}`
  }
  lines.push(line)
  return lines.map((one, i) => `${' '.repeat(i === 0 ? indent : indent + 4)}${one}`).join(' \\\n')
}

/** Rows as lines whose cells are aligned, `l`eft or `r`ight by column, with two spaces between them. */
export function columns(rows: string[][], align: string): string[] {
  const widths = [...align].map((_, i) => Math.max(0, ...rows.map((row) => row[i]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, i) => (align[i] === 'r' ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .filter((_, i) => (widths[i] ?? 0) > 0)
      .join('  ')
      .trimEnd(),
  )
}

/** Columns of the names that lines for people begin with. */
const NAME = 12

/** Lines whose first 12 columns hold a name; on a terminal those that are too long continue below their text. */
export function fold(lines: string[]): string {
  const width = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY
  const folded = lines.map((line) =>
    line.length <= width ? line : line.slice(0, NAME) + wrap(line.slice(NAME), NAME, width).trimStart(),
  )
  return `${folded.join('\n')}\n`
}
