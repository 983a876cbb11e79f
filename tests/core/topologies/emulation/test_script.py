"""Detection of scripts that build their network themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.topologies.emulation.script import builds_network


@pytest.mark.parametrize(
    ("text", "is_script"),
    [
        ("def run():\n    net = Mininet(controller=None)\nif __name__ == '__main__':\n    run()", True),
        ("import mininet.net\nnet = mininet.net.Mininet()", True),
        ("class Own(Topo):\n    pass\nnet = Mininet(topo=Own())", False),
        ("class Own(mininet.topo.LinearTopo):\n    pass\nnet = Mininet(topo=Own())", False),
        ("topos = {'own': lambda: Own()}\ndef run():\n    Mininet()", False),
        ("from mininet.net import Mininet\nprint('Mininet()')", False),
        ("net = Mininet(", False),
        ("net = Mininet()\0", False),
    ],
)
def test_a_script_calls_mininet_and_exports_no_topology(text: str, is_script: bool, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_bytes(text.encode())
    assert builds_network(str(file)) is is_script


def test_a_folder_and_a_missing_file_are_no_scripts(tmp_path: Path) -> None:
    assert not builds_network(str(tmp_path))
    assert not builds_network(str(tmp_path / "none.py"))
