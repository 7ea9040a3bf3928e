// Messages of the core for people who type flags: it names options, because programs share its messages.
import { flags } from './flags.ts'
import type { Flag } from './given.ts'

/** Flags by the option's path, and by its last word where no other option has it. */
function byOption(): Map<string, Flag> {
  const list = flags()
  const found = new Map(list.map((flag) => [flag.path.join('.'), flag]))
  for (const flag of list) {
    const last = flag.path.at(-1) ?? ''
    if (!found.has(last) && list.filter(({ path }) => path.at(-1) === last).length === 1) found.set(last, flag)
  }
  return found
}

/** `message` with flags in place of options: `onBadRow: skip` in backticks becomes --on-bad-row skip. */
export function withFlags(message: string): string {
  const known = byOption()
  return message.replaceAll(
    /`([a-z]\w*(?:\.[a-z]\w*)*)(?:: (\w+))?`/g,
    (text: string, option: string, value: string | undefined) => {
      const flag = known.get(option)
      if (flag === undefined) return text
      return value === undefined ? `--${flag.name}` : `--${flag.name} ${value}`
    },
  )
}
