"""A mailbox server whose directory cannot be used fails before READY."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab7.services.mail.imap import main as imap
from lab7.services.mail.mta import main as mta
from lab7.services.mail.pop3 import main as pop3
from lab7.services.mail.webmail import main as webmail
from tests.loopback.mail.support import ACCOUNTS, HOST


@pytest.mark.parametrize(
    ("name", "main", "flags"),
    [
        ("mta", mta, ["--queue", "{folder}/queue"]),
        ("imap", imap, []),
        ("pop3", pop3, []),
        ("webmail", webmail, ["--submission", HOST]),
    ],
)
def test_it_says_so_in_one_sentence(
    tmp_path: Path, name: str, main: Callable[[list[str]], int], flags: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "accounts").write_text(ACCOUNTS)
    command = ["--maildirs", "/proc/x", "--accounts", f"{tmp_path}/accounts", "--domain", "example.com"]
    flags = [flag.format(folder=tmp_path) for flag in flags]
    assert main([*command, "--listen", HOST, "--port", "0", *flags]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith(f"{name}: cannot store mailboxes in /proc/x (")
    assert error.endswith("): name another with --maildirs\n")
    assert error.count("\n") == 1
