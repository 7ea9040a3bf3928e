// longweave completions: scripts for bash, zsh and fish, from the commands' own tables.
import { sections } from '../schema.ts'
import type { Command, OwnFlag } from './command.ts'
import { parse } from './parse.ts'

/** A flag as shells complete it. `paths`: files and directories; `words`: these; null: it takes no value. */
interface Completed {
  name: string
  description: string
  value: { paths: boolean; words: readonly string[] } | null
}

const isPath = (word: string | null | undefined) => ['FILE', 'DIR', 'PATH', 'RUN'].includes(word ?? '')

function ownFlag([name, { value, choices = [], description }]: [string, OwnFlag]): Completed {
  return { name, description, value: value === undefined ? null : { paths: isPath(value), words: choices } }
}

/** The flags of a command. */
function flagsOf({ flags, options }: Command): Completed[] {
  const list = options?.flags() ?? []
  return [
    ...Object.entries(flags).map(ownFlag),
    ...list.flatMap(({ name, kind, value, choices, description }): Completed[] =>
      kind === 'switch'
        ? [name, `no-${name}`].map((form) => ({ name: form, description, value: null }))
        : [{ name, description, value: { paths: isPath(value), words: choices } }],
    ),
    { name: 'help', description: 'Prints the help of this command.', value: null },
  ]
}

const takesPaths = ({ positionals }: Command) => positionals.some(({ choices }) => choices === undefined)
const wordsOf = ({ positionals }: Command) => positionals.flatMap(({ choices = [] }) => choices)
const firstSentence = (text: string) => /^.*?[.:](?= |$)/.exec(text)?.[0].replace(/[.:]$/, '') ?? text
const firstWords = (list: Command[]) => [...new Set(list.map(({ name }) => name.split(' ')[0] ?? ''))]
const families = (list: Command[]) =>
  firstWords(list)
    .map((first) => ({
      first,
      seconds: list.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : [])),
    }))
    .filter(({ seconds }) => seconds.length > 0)

function bash(list: Command[]): string {
  const cases = list.flatMap((command) => {
    const flags = flagsOf(command)
    const values = flags.flatMap(({ name, value }) => {
      if (value === null) return []
      const words = value.words.join(' ')
      return [`    '${command.name} --${name}') words='${words}' paths=${value.paths ? 1 : 0} ;;`]
    })
    const all = flags.map(({ name }) => `--${name}`).join(' ')
    return [
      ...values,
      `    '${command.name} '*) words='${wordsOf(command).join(' ')}' paths=${takesPaths(command) ? 1 : 0} flags='${all}' ;;`,
    ]
  })
  return `# bash completion for longweave: source <(longweave completions bash)
_longweave() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local command=\${COMP_WORDS[1]} words='' flags='' paths=0 first=2
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${firstWords(list).join(' ')} help --help --version' -- "$cur"))
    return
  fi
  case $command in
${families(list)
  .map(
    ({ first, seconds }) =>
      `    ${first}) command="${first} \${COMP_WORDS[2]}" words='${seconds.join(' ')}' first=3 ;;`,
  )
  .join('\n')}
    help)
      words='${list.map(({ name }) => name).join(' ')} ${Object.keys(sections).join(' ')} --all'
      COMPREPLY=($(compgen -W "$words" -- "$cur"))
      return
      ;;
  esac
  if ((COMP_CWORD < first)); then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  fi
  words=''
  case "$command $prev" in
${cases.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if ((paths)); then
      compopt -o filenames 2>/dev/null
      COMPREPLY+=($(compgen -f -- "$cur"))
    fi
  fi
}
complete -F _longweave longweave
`
}

/** Text inside single quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

/** Text inside an argument of zsh's `_arguments`. */
const escape = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&')

/** A flag as an argument of `_arguments`. */
const zshFlag = ({ name, description, value }: Completed) => {
  const text = `--${name}[${escape(firstSentence(description))}]`
  if (value === null) return quoted(text)
  const action = value.words.length > 0 ? `(${value.words.join(' ')})` : value.paths ? '_files' : ' '
  return quoted(`*${text}:${name}:${action}`)
}

function zsh(list: Command[]): string {
  const cases = list.map((command) => {
    const rest = wordsOf(command).length > 0 ? `(${wordsOf(command).join(' ')})` : takesPaths(command) ? '_files' : ' '
    const specs = [...flagsOf(command).map(zshFlag), quoted(`*:argument:${rest}`)]
    return `    ${quoted(command.name)})\n      _arguments -s \\\n        ${specs.join(' \\\n        ')}\n      ;;`
  })
  const describe = firstWords(list).map((word) => {
    const { summary } = list.find(({ name }) => name === word) ?? {
      summary: `${list
        .filter(({ name }) => name.startsWith(`${word} `))
        .map(({ name }) => name)
        .join(', ')}`,
    }
    return `    ${quoted(`${word}:${summary.replaceAll(':', '\\:')}`)}`
  })
  return `#compdef longweave
# zsh completion for longweave: source <(longweave completions zsh), or a file _longweave in $fpath
_longweave() {
  local -a names
  names=(
${describe.join('\n')}
    'help:print help'
  )
  if ((CURRENT == 2)); then
    _describe command names
    return
  fi
  local command=$words[2]
  case $command in
${families(list)
  .map(
    ({ first, seconds }) => `    ${first})
      if ((CURRENT == 3)); then
        compadd ${seconds.join(' ')}
        return
      fi
      command="${first} $words[3]"
      shift words
      ((CURRENT--))
      ;;`,
  )
  .join('\n')}
    help)
      compadd ${list.map(({ name }) => quoted(name)).join(' ')} ${Object.keys(sections).join(' ')}
      return
      ;;
  esac
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _longweave "$@"
elif (($+functions[compdef])); then
  compdef _longweave longweave
fi
`
}

/** fish's condition that a command was typed. */
const when = ({ name }: Command) => {
  const [first = '', second] = name.split(' ')
  const seen = `__fish_seen_subcommand_from ${first}`
  return second === undefined ? seen : `${seen}; and __fish_seen_subcommand_from ${second}`
}

function fish(list: Command[]): string {
  const none = '__fish_use_subcommand'
  const lines = list.flatMap((command) => {
    const [first = '', second] = command.name.split(' ')
    const summary = quoted(command.summary)
    const condition = quoted(when(command))
    const start =
      second === undefined
        ? `complete -c longweave -n ${none} -a ${first} -d ${summary}`
        : `complete -c longweave -n '__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${families(
            list,
          )
            .find((family) => family.first === first)
            ?.seconds.join(' ')}' -a ${second} -d ${summary}`
    const words = wordsOf(command)
    return [
      start,
      ...(takesPaths(command) ? [`complete -c longweave -n ${condition} -F`] : []),
      ...(words.length > 0 ? [`complete -c longweave -n ${condition} -a ${quoted(words.join(' '))}`] : []),
      ...flagsOf(command).map(({ name, description, value }) => {
        const takes =
          value === null
            ? ''
            : value.words.length > 0
              ? ` -x -a ${quoted(value.words.join(' '))}`
              : value.paths
                ? ' -r -F'
                : ' -x'
        return `complete -c longweave -n ${condition} -l ${name}${takes} -d ${quoted(firstSentence(description))}`
      }),
    ]
  })
  return `# fish completion for longweave: longweave completions fish | source
complete -c longweave -f
${families(list)
  .map(({ first, seconds }) => {
    const names = seconds.map((second) => `${first} ${second}`).join(', ')
    return `complete -c longweave -n ${none} -a ${first} -d ${quoted(names)}`
  })
  .join('\n')}
complete -c longweave -n ${none} -a help -d 'print help'
complete -c longweave -n '__fish_seen_subcommand_from help' -a ${quoted(
    [...firstWords(list), ...Object.keys(sections)].join(' '),
  )}
${lines.join('\n')}
`
}

const shells = { bash, zsh, fish }

/** The command, over the list of all. */
export const completionsCommand = (all: () => Promise<Command[]>): Command => ({
  name: 'completions',
  group: 'care',
  summary: 'a script that completes commands, flags and values in your shell',
  details: `Add the line of your shell to its start-up file:

bash, ~/.bashrc: source <(longweave completions bash)

zsh, ~/.zshrc, after compinit: source <(longweave completions zsh)

fish, ~/.config/fish/config.fish: longweave completions fish | source`,
  positionals: [{ name: 'SHELL', description: 'bash, zsh or fish', choices: Object.keys(shells) }],
  flags: {},
  options: null,
  json: null,
  examples: ['longweave completions bash'],
  async run(args) {
    const { positionals } = parse(args, this)
    process.stdout.write(shells[positionals[0] as keyof typeof shells](await all()))
  },
})
