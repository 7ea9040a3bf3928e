// Text for people and programs, whatever a corpus holds: nothing that a terminal would obey goes out as it is.

/** Control characters but tab and line feed, and those that turn the direction of writing round. */
const obeyed = /[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu

const escape = (character: string) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`

/** `text` with such characters written as `\u001b`. */
export function printable(text: string): string {
  return text.replace(obeyed, escape)
}

/** A value as one line of JSON; such characters are escaped there too, which reads back as the same value. */
export function jsonLine(value: unknown): string {
  return `${printable(JSON.stringify(value))}\n`
}
