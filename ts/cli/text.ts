// Text for people and programs, whatever a corpus holds: nothing that a terminal would obey goes out as it is.

/** Control characters but tab and line feed, line separators that JSON does not escape, and all that turn the direction of writing round. */
const obeyed = /[^\P{Cc}\t\n]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu
/** Characters that would break a line in two, or into columns. */
const breaks = /[\t\n]/g

const escape = (character: string) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`

/** `text` with such characters written as `\u001b`. */
export function printable(text: string): string {
  return text.replace(obeyed, escape)
}

/** `text` as a part of one line, whatever it holds: an id must not look like a line of ours. */
export function inline(text: string): string {
  return printable(text).replace(breaks, escape)
}

/** A value as one line of JSON; such characters are escaped there too, which reads back as the same value. */
export function jsonLine(value: unknown): string {
  return `${printable(JSON.stringify(value))}\n`
}
