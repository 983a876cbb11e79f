"""Event logs of real services are valid by the published JSON Schema, and have the events of the exchange."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab7.experiments.validation.schemas import violations
from tests.loopback.clients import (
    AUTHORITATIVE,
    FTP,
    MAILBOXES,
    MTA,
    ORIGIN,
    ask_dns,
    ask_ftp,
    ask_http,
    ask_imap,
    ask_smtp,
    prepare,
    service,
)


@pytest.mark.parametrize(
    ("command", "ask", "event"),
    [
        (AUTHORITATIVE, ask_dns, "query"),
        (ORIGIN, ask_http, "request"),
        (FTP, ask_ftp, "login"),
        (MTA, ask_smtp, "accepted"),
        (f"lab7.services.mail.imap {MAILBOXES}", ask_imap, "login"),
    ],
)
def test_a_log_is_valid(tmp_path: Path, command: str, ask: Callable[[int], None], event: str) -> None:
    prepare(tmp_path)
    with service(tmp_path, f"{command} --log events.jsonl") as port:
        ask(port)
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert [str(one) for one in violations(text, "events")] == []
    assert {"ready", event, "stopped"} <= {json.loads(line)["event"] for line in text.splitlines()}
