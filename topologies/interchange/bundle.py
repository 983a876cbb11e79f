"""Export of a topology for another tool, such as Kathara: generated files, copies of files that services read, scripts.

The command line of each service is kept, except for absolute paths of this machine: the file or folder at such a path
is copied into the folder `shared` of the exported topology, which every host can read.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab7.topologies.emulation.process.launcher import is_module, split_command
from lab7.topologies.emulation.user_module import is_user_file
from lab7.topologies.interchange.lab import Lab, LabHost

SHARED = "shared"
# Name of the container image, which `docker build` makes of the Dockerfile in the bundle.
IMAGE = "lab7"
PACKAGES = "iproute2 iputils-ping net-tools curl bind9-dnsutils tcpdump procps"
# System folders, which every container has: files below these folders are not copied.
SYSTEM_FOLDERS = ("/bin", "/dev", "/etc", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/sbin")


@dataclass
class Bundle:
    """Files of a topology that is exported for another tool.

    texts: contents keyed by path; copies: files and folders to copy, keyed by their names in the folder `shared`.
    """

    texts: dict[str, str] = field(default_factory=dict)
    copies: dict[str, Path] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write all files into a folder. Raises OSError."""
        for name, text in self.texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name, source in self.copies.items():
            target = folder / SHARED / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target)

    def command(self, line: str, shared: str) -> list[str]:
        """Return the words of a service's command line; paths of this machine are replaced by copies in `shared`."""
        words = split_command(line)
        if is_module(words[0]):
            words = ["python3", "-m", *words]
        elif is_user_file(words[0]):
            words = ["python3", *words]
        return [self._moved(word, shared) for word in words]

    def _moved(self, word: str, shared: str) -> str:
        path = Path(word)
        if not path.is_absolute() or word.startswith(SYSTEM_FOLDERS) or not path.exists() or path.parent == path:
            return word
        name = next((name for name, source in self.copies.items() if source == path), None)
        if name is None:
            number = sum(source.name == path.name for source in self.copies.values())
            name = f"{path.name}-{number}" if number else path.name
            self.copies[name] = path
        return f"{shared}/{name}"


def start_script(lab: Lab, host: LabHost, bundle: Bundle, folder: str) -> list[str]:
    """Return the shell script that writes a host's /etc/hosts and resolv.conf, and starts the set-up and services.

    folder: folder with the host's files, which is the working directory of its services.
    """
    lines = []
    if lab.host_names:
        entries = [f"{address} {' '.join(names)}" for address, names in lab.host_entries()]
        lines += [f"echo {shlex.quote(entry)} >> /etc/hosts" for entry in entries]
    if host.resolvers:
        lines += [": > /etc/resolv.conf"]
        lines += [f"echo {shlex.quote(f'nameserver {address}')} >> /etc/resolv.conf" for address in host.resolvers]
    lines += [f"mkdir -p {folder} && cd {folder}", *host.setup] if host.setup or host.serves else []
    for number, line in enumerate(host.serves):
        words = shlex.join(bundle.command(line, f"/{SHARED}"))
        lines.append(f"nohup {words} > /var/log/lab7-{number}.log 2>&1 < /dev/null &")
    return lines


def image_file() -> str:
    """Return the Dockerfile of the image for all nodes of an exported topology.

    The build context is a checkout of lab7.
    """
    return "\n".join(
        [
            "# In a checkout of lab7:  docker build -t lab7 -f THIS_FILE .",
            "FROM python:3.11-slim",
            f"RUN apt-get update && apt-get install -y --no-install-recommends {PACKAGES}",
            "COPY . /opt/lab7",
            "RUN pip install --no-cache-dir /opt/lab7",
            "",
        ]
    )


def unique_names(names: Sequence[str], allowed: str) -> dict[str, str]:
    """Return a unique lower-case name for each name, with `_` in place of characters that are not in `allowed`."""
    found: dict[str, str] = {}
    for name in names:
        plain = base = "".join(letter if letter in allowed else "_" for letter in name.lower())
        number = 2
        while plain in found.values():
            plain, number = f"{base}{number}", number + 1
        found[name] = plain
    return found
