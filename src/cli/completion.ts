// Completion scripts for bash, zsh and fish, made from the tables of commands and settings. They start no program.
import { plain } from '../settings/docs.ts';
import { flagOf, rowOf, SPELLINGS } from '../settings/table.ts';
import { COMMAND_NAMES, COMMON_FLAGS, commandOf } from './commands.ts';
import { HELP_WORDS } from './help.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What a flag takes behind it. */
type Taken =
  | { readonly kind: 'nothing' | 'text' | 'file' }
  | { readonly kind: 'one'; readonly of: readonly string[] };

interface Flag {
  /** `--output` */
  readonly flag: string;
  readonly meaning: string;
  readonly takes: Taken;
}

/** The flags that are settings, those of secret files included. */
function settingFlags(): readonly Flag[] {
  return [...SPELLINGS].map(([written, { name, secretFile }]) => {
    const { kind, meaning } = rowOf(name);
    const takes: Taken = secretFile
      ? { kind: 'file' }
      : kind.bareFlag
        ? { kind: 'nothing' }
        : kind.values !== undefined
          ? { kind: 'one', of: kind.values }
          : { kind: kind.type === 'path' || name === 'SOURCE' ? 'file' : 'text' };
    const start = secretFile ? `file that holds ${name}` : firstClause(plain(meaning));
    return { flag: flagOf(written), meaning: start, takes };
  });
}

/** Up to the first semicolon, colon or full stop: menus have one short line. */
function firstClause(text: string): string {
  return /^(.{12,}?)(?:[;:.](?:\s|$)|$)/.exec(text)?.[1] ?? text;
}

function ownFlags(name: (typeof COMMAND_NAMES)[number]): readonly Flag[] {
  return Object.entries(commandOf(name).flags ?? {}).map(([flag, { value, meaning }]) => {
    return { flag: `--${flag}`, meaning, takes: { kind: value === undefined ? 'nothing' : 'text' } };
  });
}

/** Words behind a command: those of `help`, and those in its row. */
function choicesOf(name: (typeof COMMAND_NAMES)[number]): readonly string[] {
  return name === 'help' ? HELP_WORDS : (commandOf(name).choices ?? []);
}

/** The script for a shell, to be read by it at its start. */
export function completionFor(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

function bash(): string {
  const byValues = settingFlags().flatMap(({ flag, takes }) =>
    takes.kind === 'one' ? [`    ${flag}) words='${takes.of.join(' ')}' ;;`] : [],
  );
  const withKind = (kind: Taken['kind']): string =>
    settingFlags()
      .filter(({ takes }) => takes.kind === kind)
      .map(({ flag }) => flag)
      .join('|');
  const common = Object.entries(COMMON_FLAGS).map(([name]) => `--${name}`);
  const byCommand = COMMAND_NAMES.map((name) => {
    const own = ownFlags(name).map(({ flag }) => flag);
    return `    ${name}) own='${own.join(' ')}'; choices='${choicesOf(name).join(' ')}' ;;`;
  });
  return `# bash completion of config-sidecar: source <(config-sidecar completion bash)
_config_sidecar() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= own= choices= words= i
  # "=" is a word of its own.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $previous in
${byValues.join('\n')}
    ${withKind('text')}) return ;;
    ${withKind('file')}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
  esac
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${COMMAND_NAMES.join('|')}) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  case $command in
${byCommand.join('\n')}
    *) choices='${COMMAND_NAMES.join(' ')}' ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$own ${[...common, ...settingFlags().map(({ flag }) => flag)].join(' ')}" -- "$current")
  else
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
  fi
}
complete -F _config_sidecar config-sidecar
`;
}

/** Between single quotes, in all three shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}

function zsh(): string {
  const spec = ({ flag, meaning, takes }: Flag): string => {
    const text = meaning.replaceAll(/[[\]:]/g, ' ');
    if (takes.kind === 'nothing') return quoted(`${flag}[${text}]`);
    const action = takes.kind === 'one' ? `(${takes.of.join(' ')})` : takes.kind === 'file' ? '_files' : '';
    return quoted(`${flag}=[${text}]:value:${action}`);
  };
  const commands = COMMAND_NAMES.map((name) => `    ${quoted(`${name}:${commandOf(name).summary}`)}`);
  const common = Object.entries(COMMON_FLAGS).map(([name, { short, meaning }]) => {
    return `    '(-${short} --${name})'{-${short},--${name}}${quoted(`[${meaning}]`)}`;
  });
  const byCommand = COMMAND_NAMES.map((name) => {
    const own = ownFlags(name).map(spec);
    const choices = choicesOf(name);
    return `    ${name}) own=(${own.join(' ')}); choices=(${choices.join(' ')}) ;;`;
  });
  return `#compdef config-sidecar
# zsh completion of config-sidecar: config-sidecar completion zsh > "\${fpath[1]}/_config-sidecar"
_config-sidecar() {
  local curcontext="$curcontext" state command
  local -a commands own choices
  commands=(
${commands.join('\n')}
  )
  command=\${\${words[2,CURRENT-1]}[(r)(${COMMAND_NAMES.join('|')})]}
  case $command in
${byCommand.join('\n')}
  esac
  _arguments -S $own \\
${common.join(' \\\n')} \\
${settingFlags()
  .map((flag) => `    ${spec(flag)}`)
  .join(' \\\n')} \\
    '1: :->command' '2: :->choice' && return
  case $state in
    command) _describe command commands ;;
    choice) compadd -- $choices ;;
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _config-sidecar "$@"
else
  compdef _config-sidecar config-sidecar
fi
`;
}

function fish(): string {
  const start = 'complete -c config-sidecar';
  const line = (condition: string, { flag, meaning, takes }: Flag): string => {
    const value = {
      nothing: '',
      text: ' -x',
      file: ' -r -F',
      one: takes.kind === 'one' ? ` -x -a ${quoted(takes.of.join(' '))}` : '',
    }[takes.kind];
    return `${start}${condition} -l ${flag.slice(2)}${value} -d ${quoted(meaning)}`;
  };
  const seen = (name: string): string => ` -n '__fish_seen_subcommand_from ${name}'`;
  const none = ` -n 'not __fish_seen_subcommand_from ${COMMAND_NAMES.join(' ')}'`;
  const common = Object.entries(COMMON_FLAGS).map(([name, { short, meaning }]) => {
    return `${start} -s ${short} -l ${name} -d ${quoted(meaning)}`;
  });
  return `# fish completion of config-sidecar: config-sidecar completion fish > ~/.config/fish/completions/config-sidecar.fish
${start} -f
${COMMAND_NAMES.map((name) => `${start}${none} -a ${name} -d ${quoted(commandOf(name).summary)}`).join('\n')}
${COMMAND_NAMES.flatMap((name) => [
  ...ownFlags(name).map((flag) => line(seen(name), flag)),
  ...(choicesOf(name).length === 0 ? [] : [`${start}${seen(name)} -a ${quoted(choicesOf(name).join(' '))}`]),
]).join('\n')}
${common.join('\n')}
${settingFlags()
  .map((flag) => line('', flag))
  .join('\n')}
`;
}
