"""The experiment mail-forgery in a network of namespaces, and what dkimverify and OpenDKIM say of its messages."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import dkim
import pytest

from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.mail.lab import AT_RECEIVER, RECEIVER_ADDRESS
from lab7.experiments.mail.wire.smtp import smtp_traffic
from lab7.topologies.mail_forgery import PUBLIC_KEY
from tests.emulation.support import LAB7, PATIENCE_S, environment, start_lab7

KEY = f"v=DKIM1; k=rsa; p={PUBLIC_KEY}".encode()


def test_forgeries_are_refused_and_dkimpy_agrees_with_the_judge(tmp_path: Path) -> None:
    run = start_lab7("run", "mail-forgery", "--repeat", "1", "--json", cwd=tmp_path)
    output, errors = run.communicate(timeout=6 * PATIENCE_S)
    assert errors == b""
    (result,) = json.loads(output)["results"]
    by_packets = {
        claim["id"]: (claim["verdict"], claim["evidence"]) for claim in result["claims"] if claim["id"] != "A6"
    }
    assert {verdict for verdict, _ in by_packets.values()} == {"shown"}, by_packets
    assert list(by_packets) == ["A1", "A2", "A3", "A4", "A5"]
    (capture,) = (tmp_path / "results" / "mail-forgery").glob("*/capture.pcapng")
    messages = smtp_traffic(read_capture(capture), AT_RECEIVER, [25]).to(RECEIVER_ADDRESS).messages
    verified = {
        next(line for line in message.body.splitlines() if line.startswith(b"(")): dkim.verify(
            message.content, dnsfunc=lambda *_, **__: KEY
        )
        for message in messages
        if b"DKIM-Signature" in message.content
    }
    assert verified == {b"(Genuine)": True, b"(Forwarded, signed)": True, b"(Altered)": False}


VERIFY = (
    "cat maildirs/example.com/bob/new/* >message; opendkim-testmsg <message && echo right: verified; "
    "sed s/mailing/message/ message | opendkim-testmsg || echo wrong: refused"
)


@pytest.mark.skipif(shutil.which("opendkim-testmsg") is None, reason="opendkim-tools is not installed")
def test_opendkim_verifies_by_the_names_of_the_network(tmp_path: Path) -> None:
    """Alice's message by way of the forwarding address; opendkim-testmsg looks the key up itself."""
    send = (
        "swaks --server mail.example.org --port 587 --auth PLAIN --auth-user alice --auth-password looking-glass "
        "--from alice@example.org --to bob@alumni.example.com"
    )
    wait = "for n in $(seq 100); do ls maildirs/example.com/bob/new/* && break; sleep 0.1; done"
    script = f"alice {send}\nmail-b sh -c '{wait}; {VERIFY}'\n"
    done = subprocess.run(
        [LAB7, "shell", "mail-forgery"],
        input=script.encode(),
        capture_output=True,
        cwd=tmp_path,
        env=environment(None),
        timeout=2 * PATIENCE_S,
    )
    printed = done.stdout + done.stderr
    assert b"right: verified" in printed, printed
    assert b"wrong: refused" in printed, printed
