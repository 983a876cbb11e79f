"""Files of a host's /etc for name resolution: hosts, resolv.conf, nsswitch.conf, hostname."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

NSSWITCH = Path("/etc/nsswitch.conf")


class Listed(NamedTuple):
    """Lines of a hosts(5) file and all names in them, formatted once for all hosts that have the same entries."""

    text: str
    names: frozenset[str]


def listed(entries: Iterable[tuple[str, Sequence[str]]]) -> Listed:
    """Format (address, names) pairs as lines of a hosts(5) file."""
    pairs = list(entries)
    text = "".join(f"{address} {' '.join(names)}\n" for address, names in pairs)
    return Listed(text, frozenset(name for _, names in pairs for name in names))


def hosts_text(own_name: str, entries: Listed, *, with_ipv6: bool = False) -> str:
    """Return the text of /etc/hosts: the loopback addresses, then the listed hosts."""
    text = "127.0.0.1 localhost\n" + ("::1 localhost ip6-localhost ip6-loopback\n" if with_ipv6 else "") + entries.text
    return text if own_name in entries.names else f"{text}127.0.1.1 {own_name}\n"


def resolv_text(resolvers: Iterable[str]) -> str:
    """Return the text of /etc/resolv.conf; without a resolver, names are resolved by /etc/hosts alone."""
    lines = [f"nameserver {address}" for address in resolvers]
    # Without a `nameserver` line the C library queries 127.0.0.1, which the options limit to one attempt of 1 s.
    return "\n".join([*lines, "options timeout:2 attempts:2" if lines else "options timeout:1 attempts:1"]) + "\n"


def nsswitch_text() -> str:
    """Return the machine's nsswitch.conf(5) with host names resolved by files and DNS only."""
    lines = NSSWITCH.read_text().splitlines() if NSSWITCH.exists() else []
    return "\n".join([*(line for line in lines if not line.startswith("hosts:")), "hosts: files dns"]) + "\n"


def write(
    folder: Path,
    name: str,
    entries: Listed,
    resolvers: Iterable[str],
    *,
    with_ipv6: bool = False,
) -> None:
    """Write the files hosts, resolv.conf, nsswitch.conf and hostname for a host, to be mounted in the host's /etc."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts").write_text(hosts_text(name, entries, with_ipv6=with_ipv6))
    (folder / "resolv.conf").write_text(resolv_text(resolvers))
    (folder / "nsswitch.conf").write_text(nsswitch_text())
    (folder / "hostname").write_text(name + "\n")


def add_entry(folder: Path, address: str, names: Sequence[str]) -> None:
    """Add a line to the hosts(5) file that write() has created for a host; the file may be mounted in the host."""
    with open(folder / "hosts", "a") as file:
        file.write(f"{address} {' '.join(names)}\n")


def remove_entries(folder: Path, names: Sequence[str]) -> None:
    """Remove the lines with exactly the given names from a host's hosts(5) file, which may be mounted."""
    _rewrite(folder, lambda line: "" if line.split()[1:] == list(names) else line)


def replace_address(folder: Path, old: str, new: str, names: Sequence[str]) -> None:
    """Change the address `old` to a new one in the line of a hosts(5) file with exactly the given names.

    The file may be mounted in a host.
    """
    entry = [old, *names]
    _rewrite(folder, lambda line: f"{new} {' '.join(names)}\n" if line.split() == entry else line)


def _rewrite(folder: Path, changed: Callable[[str], str]) -> None:
    # The file is rewritten in place, because a bind mount shows this very inode in the host.
    with open(folder / "hosts", "r+") as file:
        lines = file.readlines()
        file.seek(0)
        file.writelines(map(changed, lines))
        file.truncate()
