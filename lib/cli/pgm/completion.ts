// `pgm completion`: scripts by which shells complete commands and options.
import type { Command } from 'commander';

/** Prints the script for a shell. */
export function completion(program: Command, shell: string): number {
  const commands = program.commands.map((command) => ({ name: command.name(), description: command.description(), flags: flagsOf(command) }));
  const shared = flagsOf(program);
  const scripts: Record<string, () => string> = {
    bash: () => bash(commands, shared),
    zsh: () => `autoload -U +X bashcompinit && bashcompinit\n${bash(commands, shared)}`,
    fish: () => fish(commands, shared),
  };
  const script = scripts[shell];
  if (script === undefined) {
    process.stderr.write(`❌ There is no completion for ${shell}: use bash, zsh or fish\n`);
    return 2;
  }
  process.stdout.write(script());
  return 0;
}

interface Completed {
  name: string;
  description: string;
  flags: string[];
}

function flagsOf(command: Command): string[] {
  return command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long]));
}

function bash(commands: readonly Completed[], shared: readonly string[]): string {
  const cases = commands.map(({ name, flags }) => `    ${name}) words="${[...flags, ...shared].join(' ')}"; break ;;`);
  return `_pgm() {
  local words="${[...commands.map(({ name }) => name), ...shared].join(' ')}" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "\${COMP_WORDS[at]}" in
${cases.join('\n')}
    esac
  done
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _pgm pgm
`;
}

function fish(commands: readonly Completed[], shared: readonly string[]): string {
  const option = (flag: string, condition: string) => `complete -c pgm ${condition}-l ${flag.slice(2)}`;
  const lines = commands.flatMap(({ name, description, flags }) => [
    `complete -c pgm -n __fish_use_subcommand -a ${name} -d '${description}'`,
    ...flags.map((flag) => option(flag, `-n '__fish_seen_subcommand_from ${name}' `)),
  ]);
  return `${[...lines, ...shared.map((flag) => option(flag, ''))].join('\n')}\n`;
}
