"""lab7 needs no root: another user of this machine, with no rights at all, runs it as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from lab7.topologies.emulation.process.interpreter import module_command
from tests.emulation.support import PATIENCE_S, REPOSITORY, environment, lab7

NOBODY = "65534"
# login.defs(5): ENV_PATH of Debian, which every user but root has. It lacks the folders of tc and of most servers.
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
IMPORTS = "import sys, click, jinja2, mininet.net, rich, scapy.utils; sys.exit(sys.version_info < (3, 11))"
TESTBED = """
import os
from lab7.topologies.emulation import sandbox
sandbox.enter()
from tests.emulation.support import REPOSITORY, pair
with pair(["lab7.services.http.origin --root %s --listen 0.0.0.0 --port 80" % REPOSITORY], delay="1ms", loss=0) as bed:
    done = bed.host("client").run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://www.example.com/"])
    print(done.stdout.decode(), bed.host("client").run(["hostname"]).stdout.decode(), end="")
"""
MININET_SCRIPT = """
from mininet.net import Mininet
from mininet.link import TCLink
net = Mininet(link=TCLink)
for name in ("h1", "h2"):
    net.addLink(net.addHost(name), net["s1"] if "s1" in net else net.addSwitch("s1"), delay="1ms")
net.start()
print(net.pingAll())
print(net["h1"].cmd("tc qdisc change dev h1-eth0 root netem delay 2ms; tc qdisc show dev h1-eth0").strip())
open("of-script.txt", "w").close()
net["h1"].cmd("touch of-h1.txt")
net.stop()
"""
# Folders that this user cannot make in the machine; the others in the same place stay visible.
PRIVATE_FOLDERS = """
import os
from mininet.net import Mininet
net = Mininet()
folders = ["/var/mn", "/srv/x/y", ("/opt/q", "/var/private/%(name)s/q"), "/etc/foo", "/var/log"]
hosts = [net.addHost(name, privateDirs=folders) for name in ("h1", "h2")]
net.addLink(*hosts)
net.start()
for folder in ("/var/mn", "/srv/x/y", "/opt/q", "/etc/foo", "/var/log", "/var/private/h1/q"):
    hosts[0].cmd(f"echo mine > {folder}/file")
    print(folder, *(host.cmd(f"cat {folder}/file 2>&1 | grep -c mine").strip() for host in hosts))
for folder in ("/var", "/etc"):
    unlike = set(os.listdir(folder)) ^ set(hosts[0].cmd(f"ls -A {folder}").split())
    mode = f"{os.stat(folder).st_mode & 0o7777:o}"
    print(folder, sorted(unlike), hosts[0].cmd(f"stat -c %a {folder}").strip() == mode)
print(hosts[0].cmd("getent hosts h2").split(), hosts[0].cmd("ls -l /var/run").split()[-1], os.path.exists("/var/mn"))
"""
LAB7 = "from lab7.experiments.harness.cli import main; main()"


def as_nobody(*words: str, cwd: str | Path = "/") -> subprocess.CompletedProcess[str]:
    # `setpriv` may still use root's rights to find the program that it becomes; `env` in between has none.
    becoming = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--", "env"]
    packages = os.pathsep.join([str(REPOSITORY), sysconfig.get_path("purelib")])
    changes = {
        "PYTHONPATH": packages,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": DEFAULT_PATH,
        "HOME": "/",
        "USER": "nobody",
        "LOGNAME": "nobody",
    }
    return subprocess.run(
        [*becoming, *words],
        cwd=cwd,
        env=environment(changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def find_python(*, wires: bool = True) -> str:
    """An interpreter that another user can run, with the packages that lab7 needs; without one the test is skipped."""
    if as_nobody("true").returncode != 0:
        pytest.skip("this user cannot become another one")
    # The links of a kernel without netem, if they have a shape.
    if wires and as_nobody("test", "-w", "/dev/net/tun").returncode != 0:
        pytest.skip("/dev/net/tun is closed to ordinary users on this machine")
    # The second is for an environment whose own interpreter lies in a folder that others may not enter.
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if Path(candidate).exists() and as_nobody(candidate, "-c", IMPORTS).returncode == 0:
            return candidate
    pytest.skip(f"another user can read neither {os.path.realpath(sys.executable)} nor a python like it")


@pytest.fixture(scope="module")
def python() -> str:
    return find_python()


@pytest.fixture(scope="module")
def python_without_wires() -> str:
    return find_python(wires=False)


def test_lab7_runs_with_the_path_of_an_ordinary_user(tmp_path: Path) -> None:
    words = ("exec", "web", "client", "--", "sh", "-c", "curl -sS -o /dev/null http://www.example.com/ && which tc")
    done = lab7(*words, cwd=tmp_path, changes={"PATH": DEFAULT_PATH})
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.endswith("sbin/tc\n")


def test_a_sandbox_is_made_with_the_path_of_an_ordinary_user(tmp_path: Path) -> None:
    words = module_command("lab7.topologies.emulation.sandbox", "sh", "-c", "which tc && which brctl")
    changed = environment({"PATH": DEFAULT_PATH})
    done = subprocess.run(words, cwd=tmp_path, env=changed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_finds_that_an_ordinary_user_can_run_lab7(python: str) -> None:
    done = as_nobody(python, "-c", LAB7, "doctor", "--json")
    findings = json.loads(done.stdout)
    sandbox = next(one for one in findings["findings"] if one["name"] == "sandbox")
    assert (sandbox["good"], sandbox["meaning"]) == (True, "namespaces can be created as an ordinary user, no sudo")
    assert findings["able"]
    assert done.returncode == 0


def test_a_script_with_a_testbed_runs(python: str) -> None:
    done = as_nobody(python, "-c", TESTBED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "404 client\n"


def test_a_script_for_mininet_runs_and_its_files_are_the_user_s(python: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        Path(folder, "mytopo.py").write_text(MININET_SCRIPT)
        done = as_nobody(python, "-c", LAB7, "script", "--links", "wire", "mytopo.py", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "0.0\nqdisc netem 10: root refcnt 2 limit 1000 delay 2ms\n"
        owners = {path.name: str(path.stat().st_uid) for path in Path(folder).glob("*.txt")}
    assert owners == {"of-script.txt": NOBODY, "of-h1.txt": NOBODY}


def test_private_folders_are_made_where_the_user_cannot_write(python_without_wires: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        Path(folder, "mytopo.py").write_text(PRIVATE_FOLDERS)
        done = as_nobody(python_without_wires, "-c", LAB7, "script", "mytopo.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "/var/mn 1 0",
        "/srv/x/y 1 0",
        "/opt/q 1 0",
        "/etc/foo 1 0",
        "/var/log 1 0",
        "/var/private/h1/q 1 0",
        "/var ['mn', 'private'] True",
        "/etc ['foo'] True",
        "['10.0.0.2', 'h2'] /run False",
    ]


def test_a_private_folder_that_cannot_be_made_is_one_sentence(python_without_wires: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        Path(folder, "mytopo.py").write_text(PRIVATE_FOLDERS.replace("/var/mn", "/mn"))
        done = as_nobody(python_without_wires, "-c", LAB7, "script", "mytopo.py", cwd=folder)
    assert done.returncode == 3
    assert done.stderr.startswith("lab7: the host h1: the private folder /mn cannot be made (mkdir: ")
    assert done.stderr.endswith("): choose a folder below an existing one\n")
