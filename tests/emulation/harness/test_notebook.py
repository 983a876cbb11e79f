"""The example notebook, run from its first cell to its last as Jupyter runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.emulation.support import REPOSITORY

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (make setup)")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (make setup)")


def html_of(cell: dict[str, object]) -> str:
    outputs = cell["outputs"]
    assert isinstance(outputs, list)
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


@pytest.mark.slow
def test_the_example_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(folder, str(tmp_path / folder.lower()))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]))
    notebook = nbformat.read(REPOSITORY / "docs" / "examples" / "notebook.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(word in html_of(code[0]) for word in ("D7", "shown", "<svg"))
    assert "<svg" in html_of(code[4])
    assert html_of(code[5]).count("<tr") > 4
    assert (tmp_path / "results.parquet").stat().st_size > 1000
