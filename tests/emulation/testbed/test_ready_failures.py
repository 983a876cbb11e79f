"""Services that cannot become READY end the start with host, command, exit status and last lines; nothing is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.processes import descendants

# Of a service that is never READY: the failure of another host's is not hidden behind it.
ENDLESS = "import time\n\ndef main(argv):\n    time.sleep(3600)\n"
EXITS_3 = "import sys\n\ndef main(argv):\n    print('no licence', file=sys.stderr)\n    return 3\n"
NO_IMPORT = "import no_such_module\n\ndef main(argv):\n    pass\n"
TAKEN = "lab7.services.http.origin --root {folder} --listen 0.0.0.0 --port 80"


class ServingTopo(Topo):  # type: ignore[misc]
    """Three hosts at one switch; the second serves what is given, the others are never READY."""

    def build(self, folder: Path, serves: list[str]) -> None:
        """Create the hosts with their services."""
        (folder / "endless.py").write_text(ENDLESS)
        (folder / "exits_3.py").write_text(EXITS_3)
        (folder / "no_import.py").write_text(NO_IMPORT)
        self.addSwitch("s1")
        for number, commands in enumerate(([f"{folder}/endless.py"], serves, [f"{folder}/endless.py"]), start=1):
            host = self.addHost(f"h{number}", serves=[line.format(folder=folder) for line in commands])
            self.addLink(host, "s1")


@pytest.mark.parametrize(
    ("serves", "says"),
    [
        (
            [TAKEN, TAKEN],
            r"`lab7\.services\.http\.origin .* of host h2 ended with exit status 2 before .* port 80 .* in use",
        ),
        (["{folder}/exits_3.py"], r"`\S*exits_3\.py` of host h2 ended with exit status 3 before .* READY: no licence$"),
        (["{folder}/no_import.py"], r"`\S*no_import\.py` of host h2 ended with exit status 1 .*no_such_module"),
        (["sh -c 'echo gone; exit 5'"], r"`sh -c .* of host h2 ended with exit status 5 before .* port 80: gone$"),
    ],
    ids=["port taken", "exit status", "import", "program"],
)
def test_a_service_that_cannot_start_is_said_and_nothing_is_left(tmp_path: Path, serves: list[str], says: str) -> None:
    topo = ServingTopo(folder=tmp_path, serves=serves)
    if serves[0].startswith("sh"):
        topo.nodeInfo("h2")["listens"] = 80
        for name in ("h1", "h3"):
            topo.nodeInfo(name)["serves"] = []
    before = {process.pid for process in descendants(os.getpid())}
    with pytest.raises(EmulationError, match=says), Testbed(topo):
        pytest.fail("the network is up without its service")
    assert not {process.pid for process in descendants(os.getpid())} - before
    assert not [path for path in Path("/proc/sys/net/ipv4/conf").iterdir() if path.name.startswith("s1")]
    assert not list(Path("/run").glob("lab7-*/h2"))
