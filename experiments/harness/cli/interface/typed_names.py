"""Recognition of host names in a command typed at Mininet's prompt, such as `client ping origin`.

Mininet replaces every word that is the name of a host by the host's address. This module recognises the words that must
not be replaced: a word in quotes, the value of an option that takes a user name, and an argument of a program that
takes texts, users or files. Programs that resolve names find the hosts in /etc/hosts in any case.
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
    """Return the indices of the words after HOST in a line `HOST COMMAND ...` that denote hosts of the network."""
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
    """Return True if a program takes a text, not a host name, as the argument after the word `before`."""
    if program in WITHOUT_HOSTS or before.startswith("--"):
        return True
    return before in OF_USERS and program not in FLAGS
