"""Confinement of untrusted programs: no attack on files, results, processes, memory or the network succeeds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab7.topologies.emulation.process.confinement import CONFINED_ID, COPY_BYTES_MAX, confined
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import pair

# Each attack prints what it achieved; the last line of its output is compared.
ATTACKS = {
    "read a file of the user": ("open({secret!r}).read()", "FileNotFoundError"),
    "list the folder of the user": ("os.listdir({home!r})", "FileNotFoundError"),
    "overwrite a result": ("open({secret!r}, 'w').write('shown')", "FileNotFoundError"),
    "write to the system": ("open('/usr/forged', 'w')", "PermissionError"),
    "read the passwords of the system": ("open('/etc/shadow').read()", "PermissionError"),
    "signal process 1 of lab7": ("os.kill({pid}, 9)", "ProcessLookupError"),
    "become root again": ("os.setuid(0)", "PermissionError"),
    "mount": ("ctypes.CDLL(None, use_errno=True).mount(b'x', b'/tmp', b'tmpfs', 0, None)", "-1"),
    "see other processes": ("sorted(int(pid) for pid in os.listdir('/proc') if pid.isdigit())", "[1, 2]"),
    "fill the memory": ("len(bytes(4 << 30))", "MemoryError"),
    "write a huge file": ("fill('/tmp/huge')", "OSError"),
    "fork for ever": ("fork_bomb()", "BlockingIOError"),
    "a raw socket": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)", "PermissionError"),
}
PROGRAM = """
import ctypes, os, signal, socket, sys

def fill(path):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(path, "wb") as file:
        for _ in range(1 << 12):
            file.write(bytes(1 << 20))

def fork_bomb():
    while True:
        if os.fork() == 0:
            signal.pause()

try:
    print(eval(sys.argv[1]), flush=True)
except BaseException as error:
    print(type(error).__name__, flush=True)
"""


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with pair([]) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "attack.py").write_text(PROGRAM)
    return tmp_path / "program"


def run(bed: Testbed, folder: Path, *words: str) -> tuple[int, list[str]]:
    done = bed.host("server").run(confined([sys.executable, *words], folder), 60)
    return done.returncode, (done.stdout + done.stderr).decode().splitlines()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_changes_nothing(name: str, bed: Testbed, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "result.json"
    secret.write_text("failed")
    code, expected = ATTACKS[name]
    code = code.format(secret=str(secret), home=str(tmp_path), pid=os.getpid())
    _, lines = run(bed, folder, "attack.py", code)
    assert lines[-1] == expected
    assert secret.read_text() == "failed"


def test_the_program_runs_as_another_user_in_a_copy_of_its_folder(bed: Testbed, folder: Path) -> None:
    words = "[os.getuid(), os.getcwd(), os.environ['HOME'], os.listdir('.'), open('note', 'w').write('x')]"
    _, lines = run(bed, folder, "attack.py", words)
    assert lines == [f"[{CONFINED_ID}, '/home/program', '/home/program', ['attack.py'], 1]"]
    assert sorted(path.name for path in folder.iterdir()) == ["attack.py"]


def test_no_process_stays_behind(bed: Testbed, folder: Path) -> None:
    run(bed, folder, "-c", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(4242)")
    assert "4242" not in "".join(_command_lines())


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_text()
        except OSError:
            continue


def test_a_server_may_bind_a_low_port_and_is_stopped_with_its_children(bed: Testbed, folder: Path) -> None:
    words = [sys.executable, "-m", "http.server", "80"]
    program = bed.host("server").start_program(words, 80, confine=partial(confined, folder=folder))
    assert program.command.endswith("-m http.server 80")
    done = bed.host("client").run(["curl", "-sS", "--max-time", "20", "http://www.example.com/attack.py"])
    assert done.stdout.decode() == PROGRAM
    program.stop()
    done = bed.host("client").run(["curl", "-sS", "--max-time", "20", "http://www.example.com/attack.py"])
    assert done.returncode == 7


def test_an_exit_code_and_a_signal_are_passed_on(bed: Testbed, folder: Path) -> None:
    assert run(bed, folder, "-c", "raise SystemExit(7)")[0] == 7
    assert run(bed, folder, "-c", "import os; os.kill(os.getpid(), 9)")[0] == 137


def test_a_path_on_the_command_line_is_readable(bed: Testbed, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hello")
    code = "open(sys.argv[2].partition('=')[2] + '/index.html').read()"
    assert run(bed, folder, "attack.py", code, f"--root={tmp_path}/site")[1] == ["hello"]


def test_files_that_only_the_user_can_read_are_copied(bed: Testbed, folder: Path, tmp_path: Path) -> None:
    folder.chmod(0o700)
    (folder / "notes.txt").write_text("mine")
    (folder / "notes.txt").chmod(0o600)
    assert run(bed, folder, "attack.py", "open('notes.txt').read()")[1] == ["mine"]
    assert run(bed, tmp_path, str(folder / "attack.py"), f"open({str(folder / 'notes.txt')!r}).read()")[1] == ["mine"]


def test_of_a_large_folder_the_files_beside_the_program_are_copied(bed: Testbed, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(COPY_BYTES_MAX + 1)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "attack.py").write_text(PROGRAM)
    (tmp_path / "deep" / "other").mkdir()
    (tmp_path / "note").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    code = "sorted(os.listdir('.')), os.listdir('deep'), os.listdir('deep/er'), open('note').read()"
    assert run(bed, tmp_path, "deep/er/attack.py", code)[1] == ["(['deep', 'note'], ['er'], ['attack.py'], 'mine')"]


def test_a_program_behind_a_symbolic_link_is_copied(bed: Testbed, tmp_path: Path) -> None:
    real, folder = tmp_path / "real", tmp_path / "course"
    (real / "lab").mkdir(parents=True)
    folder.mkdir()
    (real / "lab" / "server.py").write_text("import part; print(part.WORD)")
    (real / "lab" / "part.py").write_text("WORD = 'found'")
    (folder / "programs").symlink_to(real)
    words = confined([sys.executable, "programs/lab/server.py"], folder)
    assert bed.host("client").run(words).stdout.decode().split() == ["found"]
