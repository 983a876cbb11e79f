"""The package lab7.experiments.harness re-exports names lazily; its table and its stub file list the same ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import lab7.experiments.harness
from lab7.experiments.harness import MODULES

STUB = Path(lab7.experiments.harness.__file__).with_suffix(".pyi")
NAMES = [(module, name) for module, names in MODULES.items() for name in names]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_name_is_that_of_its_module(module: str, name: str) -> None:
    assert getattr(lab7.experiments.harness, name) is getattr(import_module(module), name)


def test_a_name_has_one_module() -> None:
    assert len({name for _, name in NAMES}) == len(NAMES)


def test_the_stub_file_lists_the_names_of_the_table() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    imported = [
        (node.module, alias.name) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert sorted(imported) == sorted(NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'measure'"):
        _ = lab7.experiments.harness.measure  # type: ignore[attr-defined]
    assert {"measured", "Experiment"} <= set(dir(lab7.experiments.harness))


def test_a_driver_imports_neither_scapy_nor_mininet() -> None:
    code = (
        "import sys; from lab7.experiments.harness import serve; "
        "print({'scapy', 'mininet', 'click'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["claims"], ["claims", "--json"]], ids=" ".join)
def test_commands_without_a_capture_do_not_import_scapy(arguments: list[str]) -> None:
    code = (
        "import sys; from lab7.experiments.harness.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('scapy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_scapy_is_imported_at_first_use_and_writes_no_settings(tmp_path: Path) -> None:
    code = "from lab7.experiments.harness.judge import layers; print(layers.TCP.__module__, layers.DNS.__module__)"
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["scapy.layers.inet", "scapy.layers.dns"]
    assert list(tmp_path.iterdir()) == []
