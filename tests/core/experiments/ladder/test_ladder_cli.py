"""`lab7 ladder`: forms of output, selections, and one clear sentence for each error."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import PcapWriter

from lab7.experiments.harness.cli import lab7
from tests.core.experiments.harness.wire import Tcp
from tests.core.experiments.ladder.dialogues import DIALOGUES
from tests.core.experiments.ladder.wire import Path2, datagram


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return a capture of a lookup and a page at both ends."""
    path = Path2()
    DIALOGUES["dns"](path)
    DIALOGUES["http1"](path)
    return path.write(tmp_path / "lab.pcapng")


def ladder(*words: object) -> Result:
    return CliRunner().invoke(lab7, ["ladder", *map(str, words)])


def test_text_is_the_form_of_a_terminal(capture: Path) -> None:
    done = ladder(capture, "--width", 80)
    assert done.exit_code == 0
    assert done.output.splitlines()[0].split() == ["sent,", "ms", "client", "server"]
    assert "www.example.com. A?" in done.output
    assert max(map(len, done.output.splitlines())) <= 80


@pytest.mark.parametrize(("name", "first"), [("a.svg", "<svg"), ("a.md", "sequenceDiagram"), ("a.txt", "   sent, ms")])
def test_the_suffix_of_the_output_decides_the_form(capture: Path, tmp_path: Path, name: str, first: str) -> None:
    done = ladder(capture, "-o", tmp_path / name)
    assert done.exit_code == 0
    assert f"{tmp_path / name}: 15 messages between 2 hosts" in done.output.replace("\n", "")
    assert (tmp_path / name).read_text().startswith(first)


def test_format_precedes_the_suffix(capture: Path, tmp_path: Path) -> None:
    ladder(capture, "-o", tmp_path / "a.txt", "--format", "svg", "--scale")
    assert ElementTree.fromstring((tmp_path / "a.txt").read_text()).tag.endswith("svg")


def test_messages_are_selected_by_protocol_and_number(capture: Path) -> None:
    for options, messages in (((), 6), (("--first", 2), 2)):
        lines = ladder(capture, "--protocol", "http", *options).output.splitlines()
        # A wait of a host is a line without a time on the left.
        assert len([line for line in lines[1:] if line[:12].strip()]) == messages
    assert "SYN ACK" in ladder(capture, "--tcp").output


def test_a_capture_without_messages_says_which_option_shows_the_segments(tmp_path: Path) -> None:
    path = Path2()
    Tcp(path).open()
    capture = path.write(tmp_path / "lab.pcapng")
    done = ladder(capture)
    assert done.exit_code == 2
    assert f"{capture} has no message" in done.output
    assert "--tcp" in done.output
    assert ladder("--tcp", capture).exit_code == 0


NTP = datagram(bytes(48), ports=(5000, 123))


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ([NTP], "1 packet: UDP port 123"),
        ([NTP, NTP, bytes(Ether() / ARP())], "3 packets: UDP port 123 (2); ARP (1)"),
        ([bytes(Ether() / IP() / ICMP()), bytes(Ether() / IP(proto=99) / b"x")], "ICMP (1); IP protocol 99 (1)"),
        ([bytes(Ether() / IP() / IPv6() / TCP())], "1 packet: IPv6 in IP, whose inner packets are not read"),
        ([bytes(Ether() / IP() / UDP(sport=5000, dport=4789) / bytes(60))], "VXLAN, whose inner packets are not read"),
        ([bytes(Ether() / IP(flags="MF", proto=17) / bytes(64))], "1 packet: fragments of IP datagrams"),
        (
            [bytes(Ether() / IPv6(nh=58) / bytes(8)), bytes(Ether(type=0x1234)) + b"x"],
            "ICMPv6 (1); EtherType 0x1234 (1)",
        ),
        ([NTP[:38], bytes(Ether(type=0x88CC)) + b"x"], "UDP with an incomplete header (1); LLDP (1)"),
        ([bytes(Ether(type=20)) + bytes(20), b"short"], "IEEE 802.2 (1); less than an Ethernet header (1)"),
        (
            [*[NTP] * 2, *(datagram(b"x", ports=(5000, port)) for port in range(1, 6))],
            "7 packets: UDP port 123 (2); UDP port 1 (1); UDP port 2 (1); UDP port 3 (1); others (2)",
        ),
        ([], "no segment of TCP, since it has no packet"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--tcp"]])
def test_what_is_in_a_capture_without_messages_and_segments_is_told(
    tmp_path: Path, frames: list[bytes], found: str, options: list[str]
) -> None:
    path = tmp_path / "other.pcap"
    writer = PcapWriter(str(path), linktype=1)
    writer.write_header(None)
    for data in frames:
        writer.write_packet(Raw(data))
    writer.close()
    done = ladder(*options, path)
    assert done.exit_code == 2
    assert f"{path} has no HTTP, DNS, SMTP, FTP, POP3 or IMAP message and no segment of TCP" in done.output
    assert found in done.output
    assert "lab7 ladder --tcp" not in done.output


def test_an_unknown_protocol_names_those_of_the_capture(capture: Path) -> None:
    done = ladder(capture, "--protocol", "gopher")
    assert done.exit_code == 2
    assert "gopher" in done.output
    assert "dns, http" in done.output


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "is empty"), (b"hello, this is text", "is not a capture file"), (b"PK\x03\x04....", "is a ZIP archive")],
)
def test_a_file_that_is_no_capture_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    done = ladder(path)
    assert done.exit_code == 2
    assert sentence in done.output
    assert "Traceback" not in done.output


def test_a_file_that_ends_within_its_first_packet_is_one_sentence(capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:170])
    done = ladder(capture)
    assert done.exit_code == 2
    assert "is truncated: it ends before its first packet" in done.output


def test_what_is_before_the_damage_is_drawn(capture: Path) -> None:
    capture.write_bytes(capture.read_bytes() + b"\xff" * 40)
    done = ladder(capture)
    assert done.exit_code == 0
    assert "is damaged after packet" in done.stderr
    assert "GET" in done.stdout


def test_an_output_that_cannot_be_written_is_one_sentence(capture: Path, tmp_path: Path) -> None:
    done = ladder(capture, "-o", tmp_path / "missing" / "a.svg")
    assert done.exit_code == 2
    assert "missing" in done.output
    assert not isinstance(done.exception, OSError)


@pytest.mark.parametrize("name", ["ladder.png", "ladder", "ladder.pdf"])
def test_a_suffix_that_names_no_form_is_an_error_of_use(capture: Path, tmp_path: Path, name: str) -> None:
    done = ladder(capture, "-o", tmp_path / name)
    assert done.exit_code == 2
    assert all(suffix in done.output for suffix in (".svg", ".txt", ".md", "--format"))
    assert not (tmp_path / name).exists()
    assert ladder(capture, "-o", tmp_path / name, "--format", "svg").exit_code == 0


def test_one_message_is_counted_in_the_singular(capture: Path, tmp_path: Path) -> None:
    done = ladder(capture, "-o", tmp_path / "a.svg", "--first", 1)
    assert "a.svg: 1 message between 2 hosts" in done.output.replace("\n", "")
