"""Shell completion for bash, zsh and fish: commands, options, and values such as experiments, topologies and hosts.

`lab7 completion SHELL` prints a script that calls lab7 with _LAB7_COMPLETE set, as click's own scripts do. click's
scripts for bash and zsh are replaced, because a blank after a completed `NAME=` (`--set rtt=`) would be wrong, and
because bash splits words at `=`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class, get_completion_class

from lab7.experiments.harness.catalogue.listing import ListedExperiment, listing
from lab7.experiments.harness.cli.interface.usage import NETWORK_COMMANDS

VARIABLE = "_LAB7_COMPLETE"
# Wait in s for the answer of a network that is up.
ANSWER_TIMEOUT_S = 1.0
# The words of `lab7 export`, whose module takes long to import.
EXPORT_TOOLS = ("kathara", "containerlab", "shadow")
EXPORT_FORMS = ("har", "csv", "parquet", "junit", "markdown", "zip")
# Commands of `lab7 assignment` with an assignment, as argument or option.
ASSIGNMENT_COMMANDS = ("build", "handout", "bundle", "check", "grade", "verify")
SHELLS = ("bash", "zsh", "fish")
BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' completion type value response
    response=$(env LAB7_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
ZSH = r"""
#compdef %(prog_name)s
%(complete_func)s() {
    local -a response ended open
    local type key descr
    local -x COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete
    response=("${(@f)$(%(prog_name)s)}")
    unset %(complete_var)s
    for type key descr in ${response}; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                [[ $descr == _ ]] && descr=
                key="${key}${descr:+:$descr}"
                if [[ ${key%%%%:*} == *= ]]; then open+=("$key"); else ended+=("$key"); fi ;;
        esac
    done
    (( ${#ended} )) && _describe -V unsorted ended -U
    (( ${#open} )) && _describe -V unsorted open -U -S ''
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class _Bash(BashComplete):
    """Completion for bash; it parses the line as typed, since bash splits words at `=` and `:` (COMP_WORDBREAKS)."""

    source_template: ClassVar[str] = BASH

    @staticmethod
    def _check_version() -> None:
        """Accept any version of bash: the script needs no feature beyond bash 4."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return (complete words, incomplete last word) of the command line."""
        line = os.environ.get("LAB7_LINE", "")
        words = click.shell_completion.split_arg_string(line)[1:]
        return (words, "") if not words or line[-1:].isspace() else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem) -> str:
        """Return one completion as a line `TYPE,VALUE` for bash.

        For a word NAME=VALUE, the line has only VALUE, because bash replaces only the part after `=`.
        """
        return f"{item.type},{item.value.rpartition('=')[2] if _has_value(item.value) else item.value}"


class _Zsh(ZshComplete):
    source_template: ClassVar[str] = ZSH


def _has_value(word: str) -> bool:
    name, equals, value = word.partition("=")
    return bool(name and equals and value)


def install_classes() -> None:
    """Register this module's completion scripts for bash and zsh with click."""
    add_completion_class(_Bash, "bash")
    add_completion_class(_Zsh, "zsh")


def script(shell: str, command: click.Command) -> str:
    """Return the completion script of a shell for the command `lab7`."""
    install_classes()
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(command, {}, "lab7", VARIABLE).source().strip() + "\n"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    eval "$(lab7 completion bash)"     in ~/.bashrc
    eval "$(lab7 completion zsh)"      in ~/.zshrc, after compinit
    lab7 completion fish > ~/.config/fish/completions/lab7.fish
    """
    click.echo(script(shell, context.find_root().command), nl=False)


# ---- Values.

Completer = Callable[[click.Context, str], Iterable[CompletionItem]]


def _starting(incomplete: str, names: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    return [CompletionItem(name, help=text or None) for name, text in names if name.startswith(incomplete)]


def _or_files(found: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    """Return the completions found, or let the shell complete file names if there are none or a slash was typed."""
    return found if found and "/" not in incomplete else [CompletionItem(incomplete, type="file")]


def _experiments(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    return _or_files(
        _starting(incomplete, ((one.name, one.question) for one in listing().experiments.values())), incomplete
    )


def _topologies(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    names = ((one.name, one.text.strip().partition("\n")[0]) for one in listing().topologies.values())
    return _or_files(_starting(incomplete, names), incomplete)


def _matrices(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    return _starting(incomplete, ((name, "") for name in listing().matrices))


def _hosts(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return completions for a host, by the network or topology named earlier on the command line.

    A running network with that name has precedence; otherwise the hosts are those of the topology.
    """
    named = str(_first(context, "topology", "name", "what"))
    if (described := _described(named)) is not None:
        return _starting(incomplete, ((host["name"], "") for host in described["hosts"]))
    topology = listing().topologies.get(named)
    return _starting(incomplete, ((name, "") for name in topology.hosts)) if topology else []


def _first(context: click.Context, *names: str) -> Any:
    """Return the value of the first given parameter among `names`; else the first remaining word, or an empty text."""
    return next((found for name in names if (found := context.params.get(name))), next(iter(context.args), ""))


def _described(network: str) -> dict[str, Any] | None:
    """Ask a running network for its description (hosts and links); return None if it is absent or does not answer."""
    from lab7.topologies.emulation.control import client, registry
    from lab7.topologies.emulation.errors import EmulationError

    try:
        return client.ask(network, "info", ANSWER_TIMEOUT_S) if network in registry.names() else None
    except (EmulationError, OSError):
        return None


def _networks(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    from lab7.topologies.emulation.control import registry

    return _starting(incomplete, ((name, "network that is up") for name in registry.names()))


def _links(context: click.Context, incomplete: str) -> list[CompletionItem]:
    described = _described(str(_first(context, "name"))) or {"links": []}
    return _starting(incomplete, (("-".join(link["nodes"]), "") for link in described["links"]))


def _link_settings(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    return _starting(incomplete, ((f"{name}=", "") for name in ("delay", "jitter", "loss", "bw")))


def _assignments(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    # By name, since assignments are above this layer.
    catalogue = importlib.import_module("lab7.experiments.assignments.definition").catalogue
    return _or_files(_starting(incomplete, catalogue().items()), incomplete)


def _listed_names(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    whole = listing()
    return _starting(incomplete, ((name, "") for name in (*whole.experiments, *whole.topologies, *whole.matrices)))


def _exported(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return completions for the argument of `lab7 export`: names of tools such as kathara, otherwise runs."""
    tools = [CompletionItem(name) for name in EXPORT_TOOLS if incomplete and name.startswith(incomplete)]
    return tools or _runs(context, incomplete)


def _export_forms(context: click.Context, incomplete: str) -> list[CompletionItem]:
    if _first(context, "run") in EXPORT_TOOLS:
        return _topologies(context, incomplete)
    return _starting(incomplete, ((name, "") for name in EXPORT_FORMS))


def _opened(context: click.Context, incomplete: str) -> list[CompletionItem]:
    return [*_networks(context, incomplete), *_runs(context, incomplete)]


def _protocols(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    return _starting(incomplete, ((name, "") for name in ("dns", "http", "ftp", "smtp", "pop3", "imap")))


def _programs(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    found: set[str] = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isdir(folder) and os.access(folder, os.R_OK):
            found |= {name for name in os.listdir(folder) if name.startswith(incomplete)}
    return _or_files([CompletionItem(name) for name in sorted(found)] if incomplete else [], incomplete)


def _claims(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    from lab7.experiments.harness.catalogue.known_claims import known_claims

    return _starting(incomplete.upper(), ((one.id, one.statement) for one in known_claims().values()))


def _runs(context: click.Context, incomplete: str) -> list[CompletionItem]:
    results = Path(context.params.get("results") or "results")
    folders = sorted(path for path in results.glob("*/*Z-*") if path.is_dir())
    names = dict.fromkeys(name for path in folders for name in (f"{path.parent.name}/latest", str(path)))
    return _or_files(_starting(incomplete, ((name, "") for name in names)), incomplete)


def _named_experiments(context: click.Context) -> list[ListedExperiment]:
    """Return the experiments named earlier on the command line; all experiments if none is named."""
    known = listing().experiments
    words = [*(context.params.get("names") or ()), *context.args]
    return [known[name] for name in words if name in known] or list(known.values())


def _settings(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return `NAME=` for each parameter of the experiments or of the topology; after a typed `NAME=`, its default."""
    if context.command.name == "run":
        known = {one.name: one for named in _named_experiments(context) for one in named.parameters}
        name, equals, _ = incomplete.partition("=")
        if equals:
            return _starting(incomplete, [(f"{name}={known[name].default}", "default")] if name in known else [])
        return _starting(incomplete, ((f"{one.name}=", one.meaning) for one in known.values()))
    topologies = listing().topologies
    chosen = topologies.get(str(_first(context, "topology", "form")))
    names = chosen.parameters if chosen else {name for one in topologies.values() for name in one.parameters}
    return _starting(incomplete, ((f"{name}=", "") for name in names))


def _replacements(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return `ROLE=` for each role whose program can be replaced; after a typed `ROLE=`, the programs for this role."""
    role, equals, _ = incomplete.partition("=")
    if not equals:
        roles = dict.fromkeys(role for one in _named_experiments(context) for role in one.roles)
        return _starting(incomplete, ((f"{role}=", "") for role in roles))
    from lab7.experiments.harness.implementations.registry import OURS, of_role

    return _starting(incomplete, ((f"{role}={name}", "") for name in (OURS, *(one.name for one in of_role(role)))))


def _faults(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    host, equals, _ = incomplete.partition("=")
    if not equals:
        hosts = dict.fromkeys(name for one in listing().topologies.values() for name in one.hosts)
        return _starting(incomplete, ((f"{name}=", "") for name in hosts))
    from lab7.experiments.harness.faults import known_faults

    return _starting(
        incomplete, ((f"{host}={name}", text) for one in known_faults().values() for name, text in one.items())
    )


# Parameter of commands -> function that returns its values; for one command only: (command, parameter).
COMPLETERS: dict[str | tuple[str, str], Completer] = {
    ("run", "names"): _experiments,
    ("list", "names"): _listed_names,
    ("matrix", "name"): _matrices,
    ("claims", "ids"): _claims,
    ("open", "what"): _opened,
    ("open", "from_host"): _hosts,
    ("export", "run"): _exported,
    ("export", "form"): _export_forms,
    ("wireshark", "run"): _runs,
    ("diff", "first"): _runs,
    ("diff", "second"): _runs,
    ("judge", "capture"): _runs,
    ("ladder", "capture"): _runs,
    ("ladder", "protocol"): _protocols,
    ("exec", "command"): _programs,
    **{(f"assignment {each}", "name"): _assignments for each in ASSIGNMENT_COMMANDS},
    **{(each, "name"): _networks for each in ("attach", "ps", *NETWORK_COMMANDS)},
    ("down", "names"): _networks,
    **{(f"link {each}", "link"): _links for each in ("set", "down", "up")},
    ("link set", "settings"): _link_settings,
    "topology": _topologies,
    "host": _hosts,
    "given": _settings,
    "replace": _replacements,
    "fault": _faults,
}


def complete_values(command: click.Command, group: str = "") -> click.Command:
    """Equip the parameters of a command with functions that complete their values; return the command.

    `group`: name of the group that has the command, such as `link `.
    """
    called = f"{group}{command.name}"
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        complete_values(each, f"{called} ")
    for parameter in command.params:
        completer = COMPLETERS.get((called, parameter.name or "")) or COMPLETERS.get(parameter.name or "")
        if completer is not None:
            # An attribute of the instance takes precedence over the method of click's class.
            vars(parameter)["shell_complete"] = _listed(completer)
    return command


def _listed(completer: Completer) -> Callable[[click.Context, str], list[CompletionItem]]:
    def complete(context: click.Context, incomplete: str) -> list[CompletionItem]:
        return list(completer(context, incomplete))

    return complete


def command_items(commands: dict[str, Any], incomplete: str) -> Iterator[CompletionItem]:
    """Yield completions for the commands that start with a text, with their help lines; no command is imported."""
    for name in sorted(commands):
        if name.startswith(incomplete):
            yield CompletionItem(name, help=commands[name][2])
