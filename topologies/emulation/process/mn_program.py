"""Program `mn` in a sandbox, in place of Mininet's command: `mn -c` has no effect, any other use is refused.

Many Mininet scripts run `mn -c` to clean up. Mininet's own `mn -c` would remove files of the machine (/tmp/*.log,
/tmp/*.out) and end processes of the running network. In a sandbox (the Linux namespaces of a network) it has nothing to
clean, since the kernel removes the namespaces at their end.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.process import namespaces

# Where sudo(8) looks, in addition to PATH.
FOLDERS = ("/usr/local/bin", "/usr/bin")
TEXT = """#!/bin/sh
for word in "$@"; do
    case $word in -c | --clean) exit 0 ;; esac
done
echo "lab7: mn starts a network of its own, and cannot within one of lab7: run the command by itself" >&2
exit 2
"""


@contextlib.contextmanager
def replaced(workdir: Path) -> Iterator[None]:
    """Mount this program over Mininet's command `mn` during a `with` block, in a sandbox only, if `mn` is installed."""
    found = [Path(folder, "mn") for folder in dict.fromkeys((*os.get_exec_path(), *FOLDERS))]
    places = dict.fromkeys(Path(os.path.realpath(path)) for path in found if path.is_file()) if sandbox.inside() else {}
    stand_in = workdir / "mn"
    if places:
        stand_in.write_text(TEXT)
        stand_in.chmod(0o755)
    for place in places:
        namespaces.bind_file(os.fspath(stand_in), os.fspath(place))
    try:
        yield
    finally:
        for place in places:
            with contextlib.suppress(OSError):
                namespaces.unmount(place)
