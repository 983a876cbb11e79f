"""Names of hosts in a command typed at the prompt (`client ping origin`): which words are hosts, and which are texts.

Mininet replaces every word that is the name of a host by the host's address. Here the exceptions are words that the
command uses otherwise: the value of an option that takes a user name, an argument of a program that takes texts, users
or files, and a word in quotes. Programs that resolve names find hosts in /etc/hosts in any case.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection

# Programs whose arguments are texts, users, files or programs, never the addresses of hosts.
WITHOUT_HOSTS = frozenset((
    "cat", "cd", "chmod", "chown", "cp", "echo", "env", "export", "finger", "getent", "grep", "groups", "head", "id",
    "kill", "ls", "mkdir", "mv", "pgrep", "pkill", "printf", "ps", "rm", "sed", "sort", "su", "tail", "tee", "test",
    "touch", "useradd", "wc", "which", "who",
))  # fmt: skip
# Options with a user name as their value (curl -u, ssh -l, sudo -u), in any program except those of FLAGS.
OF_USERS = frozenset(("-u", "-U", "-l"))
# Programs in which OF_USERS are flags without a value, so that a host may follow (nc -u HOST 53).
FLAGS = frozenset((
    "arping", "dig", "iperf", "iperf3", "mtr", "nc", "ncat", "netcat", "nmap", "nping", "tracepath", "traceroute",
    "traceroute6",
))  # fmt: skip
# Words after which another program begins.
SEPARATORS = frozenset(("|", "||", "&&", ";", "&", "sudo", "exec", "time", "nohup"))


def stand_for_hosts(words: list[str], known: Collection[str]) -> list[int]:
    """Return the places of the words that stand for hosts in `HOST COMMAND ...`, after the first word."""
    found = []
    program = ""
    for place in range(1, len(words)):
        word, before = words[place], words[place - 1]
        if not word:
            continue
        if word in SEPARATORS or word.endswith(";"):
            program = ""
        elif not program:
            program = posixpath.basename(word)
        elif word in known and not _is_text(program, before):
            found.append(place)
    return found


def _is_text(program: str, before: str) -> bool:
    """Return True if a program takes a text at this place, by the word before it."""
    if program in WITHOUT_HOSTS or before.startswith("--"):
        return True
    return before in OF_USERS and program not in FLAGS
