"""`lab7 wireshark`: copies of the capture as tshark reads them, and the configuration, on packets of two interfaces."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab7.experiments.harness.capture.pcapng import DECRYPTION_SECRETS, PcapngWriter
from lab7.experiments.harness.judge.frames import FrameNumber, read_capture
from lab7.experiments.harness.judge.verdict import Verdict, shown
from lab7.experiments.wireshark.captures import COMMENT_MAX, comments_of
from lab7.experiments.wireshark.cli import wireshark_command
from lab7.experiments.wireshark.configuration import claim_filter
from tests.core.experiments.harness.samples import sample_result, sample_run
from tests.core.experiments.harness.wire import MS, Wire
from tests.core.experiments.http.pages import persistent

CLAIMS = (
    Verdict("H8", "shown", "One \N{LATIN SMALL LETTER U WITH DIAERESIS}ber all.", (1, 3)),
    Verdict("H9", "failed", "None.", (3,)),
)
needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run whose packets were captured at client and origin, 20 ms apart, without loss."""
    made = persistent(Wire())
    path = sample_run(tmp_path / "run", made, claims=CLAIMS)
    copies = [
        (time_ns + delay * MS, place, data) for time_ns, data in made.packets for place, delay in ((0, 0), (1, 20))
    ]
    with (path / "capture.pcapng").open("wb") as stream:
        writer = PcapngWriter(stream, ["client:client-eth0", "origin:origin-eth0"])
        for time_ns, place, data in sorted(copies, key=lambda copy: copy[0]):
            writer.packet(place, time_ns, data)
        for place in (0, 1):
            writer.statistics(place, len(made.packets), 0)
    done = CliRunner().invoke(wireshark_command, [str(path), "--no-start"])
    assert done.exit_code == 0, done.output
    assert done.output.count(" wireshark ") == 3
    return path / "wireshark"


def tshark(folder: Path, name: str, *arguments: str) -> list[str]:
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(folder / "configuration"), "LC_ALL": "C.UTF-8"}
    command = ["tshark", "-r", str(folder / name), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    warnings = [line for line in done.stderr.splitlines() if not line.startswith("Running as user")]
    assert warnings == []
    return done.stdout.splitlines()


def test_the_copies_have_the_frames_of_the_capture(folder: Path) -> None:
    whole = read_capture(folder.parent / "capture.pcapng")
    assert read_capture(folder / "capture.pcapng") == whole
    for interface in whole.counts:
        copy = read_capture(folder / f"capture-{interface.replace(':', '-')}.pcapng")
        assert [one.data for one in copy.frames] == [one.data for one in whole.at(interface)]
        assert copy.counts == {interface: whole.counts[interface]}


@needs_tshark
def test_each_interface_is_free_of_retransmissions_which_the_merged_file_seems_to_have(folder: Path) -> None:
    files = {
        path.name: len(tshark(folder, path.name, "-Y", "tcp.analysis.retransmission"))
        for path in folder.glob("*.pcapng")
    }
    assert files.pop("capture.pcapng") > 0
    assert files == {"capture-client-client-eth0.pcapng": 0, "capture-origin-origin-eth0.pcapng": 0}


@needs_tshark
def test_frames_of_verdicts_have_comments_and_each_claim_a_filter(folder: Path) -> None:
    fields = ("-T", "fields", "-E", "aggregator=|", "-e", "frame.number", "-e", "frame.comment")
    rows = dict(line.split("\t") for line in tshark(folder, "capture.pcapng", "-Y", "frame.comment", *fields))
    assert rows == {"1": "H8: shown. One \u00fcber all.", "3": "H8: shown. One \u00fcber all.|H9: failed. None."}
    numbers = tshark(folder, "capture.pcapng", "-Y", claim_filter("H9"), "-T", "fields", "-e", "frame.number")
    assert numbers == ["3"]


@needs_tshark
def test_hosts_have_their_names_and_the_columns_are_the_configured_ones(folder: Path) -> None:
    (first, *_) = tshark(folder, "capture.pcapng")
    assert "client:client-eth0" in first
    assert "client \u2192 origin" in first
    assert first.rstrip().endswith("H8: shown. One \u00fcber all.")


@needs_tshark
def test_colour_rules_are_valid(folder: Path) -> None:
    assert tshark(folder, "capture.pcapng", "--color")
    for rule in (folder / "configuration" / "colorfilters").read_text().splitlines():
        tshark(folder, "capture.pcapng", "-Y", rule.split("@")[2])


def test_a_claim_with_frames_has_a_button(folder: Path) -> None:
    buttons = (folder / "configuration" / "dfilter_buttons").read_text().splitlines()
    assert [button.split(",")[1] for button in buttons] == ['"H8"', '"H9"']
    assert all(button.count('"') == 8 for button in buttons)


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
def test_tls_secrets_are_in_the_copies(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.log"
    keys.write_text(f"CLIENT_RANDOM {'0a' * 32} {'0b' * 48}\n")
    done = CliRunner().invoke(wireshark_command, [str(folder.parent), "--no-start", "--keys", str(keys)])
    assert done.exit_code == 0, done.output
    theirs = tmp_path / "theirs.pcapng"
    inject = ["editcap", "--inject-secrets", f"tls,{keys}", str(folder.parent / "capture.pcapng"), str(theirs)]
    subprocess.run(inject, check=True, capture_output=True)
    assert blocks(folder / "capture.pcapng", DECRYPTION_SECRETS) == blocks(theirs, DECRYPTION_SECRETS) != []


def blocks(path: Path, wanted: int) -> list[bytes]:
    """The blocks of one type in a pcapng file."""
    data, found = path.read_bytes(), []
    while data:
        kind, length = struct.unpack_from("<II", data)
        found += [data[:length]] if kind == wanted else []
        data = data[length:]
    return found


def test_a_long_evidence_is_cut() -> None:
    result = replace(sample_result(), claims=(Verdict("H1", "shown", "word " * 200, (1, 1)),))
    (comment,) = comments_of(result, "capture.pcapng")[1]
    assert len(comment) == COMMENT_MAX


def test_a_run_without_a_capture_is_a_usage_error(tmp_path: Path) -> None:
    sample_result(files=replace(sample_result().files, capture=None)).save(tmp_path)
    for run in (tmp_path, tmp_path / "absent"):
        done = CliRunner().invoke(wireshark_command, [str(run), "--no-start"])
        assert done.exit_code == 2
        assert "Error: " in done.output


@pytest.fixture
def two_captures(tmp_path: Path) -> Path:
    """A run whose evidence cites a frame of the first capture, and two of another one."""
    kept, closed = "capture-kept.pcapng", "capture-closed.pcapng"
    claims = (
        shown("K1", "Kept.", [FrameNumber(2, kept), FrameNumber(4, kept)]),
        shown("K2", "Closed.", [FrameNumber(1, closed)]),
    )
    files = replace(sample_result().files, capture=closed)
    path = sample_run(tmp_path / "run", persistent(Wire()), claims=claims, files=files)
    shutil.copy(path / "capture.pcapng", path / kept)
    (path / "capture.pcapng").rename(path / closed)
    done = CliRunner().invoke(wireshark_command, [str(path), "--no-start"])
    assert done.exit_code == 0, done.output
    # The capture that the result names is the one that Wireshark starts with.
    assert [line.rpartition("/")[2] for line in done.output.splitlines()][::2] == [closed, kept]
    return path / "wireshark"


@needs_tshark
def test_each_capture_of_a_run_has_the_comments_of_its_own_frames(two_captures: Path) -> None:
    fields = ("-T", "fields", "-e", "frame.number", "-e", "frame.comment")
    rows = {
        name: tshark(two_captures, f"capture-{name}.pcapng", "-Y", "frame.comment", *fields)
        for name in ("kept", "closed")
    }
    assert rows == {"kept": ["2\tK1: shown. Kept.", "4\tK1: shown. Kept."], "closed": ["1\tK2: shown. Closed."]}
