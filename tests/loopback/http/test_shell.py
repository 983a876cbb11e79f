"""The service shell: READY, the log, a clean stop, and a one-line error if it cannot start."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab7.services.eventlog import EventLog
from lab7.services.shell import Shell
from tests.loopback.http.musts import get
from tests.loopback.http.support import HOST, PATIENCE_S, origin_process, read_to_end, read_until, talk


def start(*flags: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "lab7.services.http.origin", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_then_a_clean_stop(tmp_path: Path, number: signal.Signals) -> None:
    with start("--root", str(tmp_path), "--port", "0", "--listen", HOST, "--listen", "::1") as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith(f"READY http {HOST}:")
        assert "[::1]:" in ready
        with socket.create_connection((HOST, int(ready.split()[2].rpartition(":")[2]))) as idle:
            process.send_signal(number)
            assert process.wait(PATIENCE_S) == 0
            assert idle.recv(1) == b""
        assert process.stdout.read() == ""
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_stop_lets_a_response_under_way_come_to_its_end(tmp_path: Path) -> None:
    size = 32 * 1024 * 1024
    with (tmp_path / "large.bin").open("wb") as large:
        large.truncate(size)
    with start("--root", str(tmp_path), "--port", "0", "--listen", HOST) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        with socket.create_connection((HOST, port), timeout=PATIENCE_S) as reader:
            reader.sendall(get(target=b"/large.bin"))
            octets = read_until(reader, b"\r\n\r\n")
            process.send_signal(signal.SIGTERM)
            octets += read_to_end(reader)
        assert process.wait(PATIENCE_S) == 0
    assert len(octets.partition(b"\r\n\r\n")[2]) == size


def test_several_processes_share_one_port_and_end_together(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with origin_process(root, "--processes", "3", "--log", str(log)) as port:
        for _ in range(60):
            assert talk(port, get()).startswith(b"HTTP/1.1 200 OK")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events].count("ready") == 3
    assert [event["event"] for event in events].count("stopped") == 3
    assert [event["event"] for event in events].count("request") == 60
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))


def fails(*flags: str) -> str:
    with start(*flags) as process:
        out, output = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2
        assert out == ""
        assert "Traceback" not in output
        assert output.count("\n") == 1
        return output


def test_a_failure_to_start_is_one_sentence(tmp_path: Path) -> None:
    root = ("--root", str(tmp_path), "--listen", HOST)
    with socket.create_server((HOST, 0)) as taken:
        assert "in use" in fails(*root, "--port", str(taken.getsockname()[1]))
    assert "--root" in fails("--root", str(tmp_path / "nope"), "--port", "0")
    assert "--listen" in fails("--root", str(tmp_path), "--listen", "192.0.2.1", "--port", "0")
    assert "--tls" in fails(*root, "--port", "0", "--tls", "--processes", "2")
    assert "--log" in fails(*root, "--port", "0", "--log", str(tmp_path / "no" / "log"))


def test_each_request_is_one_line_of_the_log(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with origin_process(root, "--log", str(log)) as port:
        talk(port, get() + get(target=b"/\xff"))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events] == ["ready", "request", "request", "stopped"]
    assert (events[1]["method"], events[1]["target"], events[1]["status"]) == ("GET", "/a.txt", 200)
    assert events[1]["peer"].startswith(HOST)
    assert events[2]["status"] == 400


def test_tcp_and_udp_share_a_port() -> None:
    async def open_both() -> list[tuple[str, int]]:
        loop = asyncio.get_running_loop()
        shell = Shell(loop, [HOST], 0, EventLog(None, loop.time))
        await shell.open_tcp(lambda _: asyncio.Protocol())
        await shell.open_udp(asyncio.DatagramProtocol)
        shell.close()
        return shell.addresses

    assert len(asyncio.run(open_both())) == 1


def test_a_process_that_was_forked_after_a_rehearsal_ends_on_sigterm() -> None:
    script = (
        "import os, time; from lab7.services.shell import rehearse; rehearse(); print(os.getpid(), flush=True); "
        "os.fork() or time.sleep(60); os.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        while not (line := parent.stdout.readline()).strip().isdigit():
            assert line
        # The signal goes to the process and its child.
        os.killpg(parent.pid, signal.SIGTERM)
        assert parent.wait(PATIENCE_S) == -signal.SIGTERM
        # The end of the pipe is the end of the child.
        assert parent.stdout.read() == b""
