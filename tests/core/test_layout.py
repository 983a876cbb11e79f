"""Layout rules: layers, import cycles, directory sizes, module names and prose statistics of the packages."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "topologies", "experiments")
MODULES_MAX = 16
# Longer strings are texts, not annotations.
QUOTED_MAX = 200
# Protocol packages of experiments, and those that each may import.
LAYERS: dict[str, set[str]] = {
    "harness": set(),
    "dns": {"harness"},
    "http": {"harness", "dns"},
    "cache": {"harness", "dns", "http"},
    "cdn": {"harness", "dns", "http", "cache"},
    "ftp": {"harness", "dns", "http"},
    "mail": {"harness", "dns", "http", "cache"},
    "analysis": {"harness", "dns", "http", "ftp", "mail"},
    "ladder": {"harness", "dns", "http", "ftp", "mail"},
    "waterfall": {"harness", "dns", "http", "ftp", "mail", "ladder"},
    "network": {"harness", "dns", "http", "ftp", "mail", "ladder"},
    "diff": {"harness", "dns", "http", "ftp", "mail", "ladder"},
    "export": {"harness", "dns", "http", "ftp", "mail", "ladder", "waterfall"},
    "sweep": {"harness", "export"},
    "view": {"harness"},
    "wireshark": {"harness", "dns", "http", "ftp", "mail", "ladder"},
    "library": {"harness", "dns", "http", "ftp", "mail", "ladder", "waterfall", "export", "analysis"},
    "validation": {"harness"},
    "testing": {"harness", "dns", "http", "ftp", "mail", "ladder", "analysis", "library"},
    "assignments": {"harness", "dns", "http", "cache", "cdn", "ftp", "mail", "analysis", "ladder"},
}
# Names that say nothing of a module's content, or that another module of the same role does not have.
FORBIDDEN_STEMS = {
    "answers", "arrival", "asking", "causes", "deciding", "facts", "gathering", "heads", "helpers", "homeless", "later",
    "misc", "moving", "opening", "reading", "receiving", "sending", "serving", "storing", "things", "turns_", "utils",
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports() -> dict[str, set[str]]:
    """The modules of the project that each module imports, those under TYPE_CHECKING and in functions included."""
    known = modules()
    found: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                package = node.module.removeprefix("lab7.")
                for alias in node.names:
                    whole = f"{package}.{alias.name}".removeprefix("lab7.")
                    found[name] |= {whole if whole in known else package} & set(known)
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name.removeprefix("lab7.") for alias in node.names} & set(known)
        found[name].discard(name)
    return found


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one node (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(component) > 1:
                found.append(sorted(component))

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * len(graph)))
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def test_a_cycle_is_found() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_no_import_cycle() -> None:
    assert cycles(imports()) == []


def test_experiments_are_layered() -> None:
    """The harness imports no protocol package; a protocol package imports those below it."""
    wrong = []
    for name, targets in imports().items():
        layer = name.split(".")[1] if name.startswith("experiments.") else ""
        for target in targets:
            below = target.split(".")[1] if target.startswith("experiments.") else ""
            if layer in LAYERS and below in LAYERS and below != layer and below not in LAYERS[layer]:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_wire_only_parses_captures() -> None:
    """A parser of captures knows neither the set-up of an experiment nor its programs, and decides no claim."""
    wrong = [
        f"{name} imports {target}"
        for name, targets in imports().items()
        if "wire" in name.split(".") and name.startswith("experiments.")
        for target in targets
        if {"claims", "drivers", "lab"} & set(target.split("."))
    ]
    assert wrong == []


def test_every_protocol_package_has_a_layer() -> None:
    packages = {path.name for path in (REPOSITORY / "experiments").iterdir() if (path / "__init__.py").exists()}
    new = packages - set(LAYERS)
    assert not new, (
        f"add to LAYERS of {Path(__file__).name} what experiments/{', experiments/'.join(sorted(new))} may import"
    )


def test_directories_are_small() -> None:
    count = Counter(
        str(path.parent.relative_to(REPOSITORY)) for path in modules().values() if path.name != "__init__.py"
    )
    assert {name: number for name, number in count.items() if number > MODULES_MAX} == {}


def test_no_module_has_a_forbidden_name() -> None:
    assert [name for name in modules() if name.rsplit(".", 1)[-1] in FORBIDDEN_STEMS] == []


Definition = tuple[str, str]  # module, class


def _names(module: str, path: Path) -> dict[str, Definition]:
    """Local name -> definition, of the names that a module imports and of its own classes."""
    imported = {
        alias.asname or alias.name: (str(node.module).removeprefix("lab7."), alias.name)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return imported | {node.name: (module, node.name) for node in tree(path).body if isinstance(node, ast.ClassDef)}


def test_no_class_has_its_only_subclass_as_its_only_user() -> None:
    """Such a pair is one class, cut in two. A class that an attribute or a quoted annotation names has another user."""
    classes = {
        (name, node.name)
        for name, path in modules().items()
        for node in tree(path).body
        if isinstance(node, ast.ClassDef)
    }
    subclasses: dict[Definition, list[str]] = defaultdict(list)
    used: set[Definition] = set()
    mentioned: set[str] = set()
    for name, path in modules().items():
        known = {local: found for local, found in _names(name, path).items() if found in classes}
        nodes = list(ast.walk(tree(path)))
        bases: set[int] = set()
        for node in nodes:
            for base in node.bases if isinstance(node, ast.ClassDef) else []:
                if isinstance(base, ast.Name) and base.id in known:
                    subclasses[known[base.id]].append(name)
                    bases.add(id(base))
        for node in nodes:
            if isinstance(node, ast.Name) and node.id in known and id(node) not in bases:
                used.add(known[node.id])
            elif isinstance(node, ast.Attribute):
                mentioned.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                mentioned.update(re.findall(r"\w+", node.value) if len(node.value) < QUOTED_MAX else [])
    assert [
        found
        for found, users in subclasses.items()
        if len(users) == 1 and found not in used | {found for found in classes if found[1] in mentioned}
    ] == []


@cache
def statistics() -> ModuleType:
    """scripts/prose_statistics.py as a module."""
    path = REPOSITORY / "scripts" / "prose_statistics.py"
    spec = importlib.util.spec_from_file_location("prose_statistics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose_statistics"] = module
    spec.loader.exec_module(module)
    return module


def test_prose_is_within_the_range_of_comparable_projects() -> None:
    prose = statistics()
    assert list(prose.violations(prose.prose())) == []


def test_the_rfc_index_is_up_to_date() -> None:
    """If not: scripts/rfc_index.py --write."""
    path = REPOSITORY / "scripts" / "rfc_index.py"
    spec = importlib.util.spec_from_file_location("rfc_index", path)
    if spec is None or spec.loader is None:
        pytest.fail("scripts/rfc_index.py cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Not compared by assert, which would print 60,000 equal characters before the first difference.
    if module.INDEX.read_text(encoding="utf-8") != module.index():
        pytest.fail("docs/rfc-index.md is out of date: run `.venv/bin/python scripts/rfc_index.py --write`")
