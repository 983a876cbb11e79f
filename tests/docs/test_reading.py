"""What counts as the output that a guide shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.reading import agrees, blocks, commands

TEXT = """
Words.

```console slow topology=web
$ lab7 shell web --set bw=1
...
lab7> client hostname
client
```

```console elsewhere="a window"
$ wireshark x
```
"""


def test_commands_know_their_network_their_marks_and_their_output(tmp_path: Path) -> None:
    file = tmp_path / "guide.md"
    file.write_text(TEXT)
    shell, hostname, wireshark = commands(file)
    assert (shell.text, shell.network, shell.output) == ("lab7 shell web --set bw=1", None, ["..."])
    assert (hostname.text, hostname.network, hostname.output) == ("client hostname", "web --set bw=1", ["client"])
    assert hostname.block.marks == {"slow": "", "topology": "web"}
    assert (wireshark.where, wireshark.block.marks) == ("guide.md:12", {"elsewhere": "a window"})


def test_a_block_without_a_language_is_read_for_its_commands(tmp_path: Path) -> None:
    file = tmp_path / "guide.md"
    file.write_text("```\nmake run      # run it\nsome words\n$ .venv/bin/lab7 list\n(output)\n```\n")
    assert [(one.text, one.output) for one in commands(file)] == [("make run", []), ("lab7 list", [])]


def test_a_block_that_is_not_closed_is_found(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("```console\n$ true\n")
    with pytest.raises(AssertionError, match="not closed"):
        list(blocks(tmp_path / "guide.md"))


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("client", "client\n", True),
        ("client", "client", True),
        ("client", "server\n", False),
        ("client", "client\nmore\n", False),
        ("client\n...", "client\nmore\nand more\n", True),
        ("client\n...", "client\n", True),
        ("...\nlast", "first\nsecond\nlast\n", True),
        ("...\nlast", "first\nlast\nno, this\n", False),
        ("time=20.4 ms", "time=19.87 ms", True),
        ("time=20.4 ms", "time=slow ms", False),
        ("HTTP/1.1 200 OK", "HTTP/1.0 200 OK", False),
        ("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", False),
        ("1.0-serial 6.5", "1.1-serial 6.5", False),
        ("A 10.8.1.10", "A 10.8.2.10", False),
        ("a ... b", "a and so on b", True),
        ("a b", "a      b   ", True),
        ("a b", "ab", False),
        ("x", "", False),
        ("1,414.20", "1,299.1", True),
    ],
)
def test_what_is_shown_agrees_with_what_is_said(shown: str, said: str, same: bool) -> None:
    assert agrees(shown.splitlines(), said) == same


def test_a_guide_that_shows_nothing_agrees_with_everything() -> None:
    assert agrees([], "whatever\n")
