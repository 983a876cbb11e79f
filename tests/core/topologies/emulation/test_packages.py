"""List of system packages, and the script that installs them, with stand-ins for apt-get, sudo and the user."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab7.experiments.harness.implementations.registry import implementations
from lab7.topologies.emulation.provisioning import packages

REPOSITORY = Path(__file__).resolve().parents[4]
ABSENT = "lab7-test-no-such-program"
# Purposes have blanks, a comment has the words of no group.
LIST = f"""\
# needed: a comment that names no program
needed  sh              dash            run commands
needed  {ABSENT}-1      first-package   do one thing
useful  {ABSENT}-1a     first-package   do another thing
peers   {ABSENT}-2      a-server        serve names
peers   python3:{ABSENT.replace("-", "_")} a-module     serve files
peers   /no/such/file   a-file          serve mail
"""
# Each answers as little as the script needs, and notes what it was called with.
APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$LOG"
case "$*" in *a-module*) [ "$2" != -s ] || exit 1 ;; esac
"""
APT_CACHE = '#!/bin/sh\ncase "$*" in *a-file*) exit 1 ;; esac\n'
SUDO = '#!/bin/sh\necho "sudo $*" >>"$LOG"\ncase "$1" in env) exec "$@" ;; esac\n'


class Machine:
    """The script and a list of its own, with programs that stand in for those of the machine."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / packages.SCRIPT.name
        shutil.copy(packages.SCRIPT, self.script)
        (folder / packages.LIST.name).write_text(LIST)
        self.programs = folder / "bin"
        self.log = folder / "log"
        self.programs.mkdir()
        for name, text in {"apt-get": APT_GET, "apt-cache": APT_CACHE, "sudo": SUDO, "dpkg": "#!/bin/sh\n"}.items():
            self.put(name, text)
        self.put("id", "#!/bin/sh\necho 1000\n")

    def put(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def run(self, *options: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": path or f"{self.programs}:/usr/bin:/bin", "LOG": str(self.log), "LC_ALL": "C"}
        words = ["bash", str(self.script), *options]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_lists_what_is_missing_with_its_purpose_and_installs_nothing(machine: Machine) -> None:
    done = machine.run("--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["first-package\tdo another thing", "first-package\tdo one thing"]
    more = machine.run("--list", "--peers").stdout.splitlines()
    assert {line.partition("\t")[0] for line in more} == {"first-package", "a-server", "a-module", "a-file"}
    assert machine.calls() == []


def test_it_installs_with_sudo_and_leaves_out_what_the_distribution_lacks_or_what_takes_something_away(
    machine: Machine,
) -> None:
    done = machine.run("--peers")
    assert done.returncode == 0, done.stderr
    (install,) = [call for call in machine.calls() if " -y install " in call and call.startswith("apt-get")]
    assert install.split("--no-install-recommends ")[1].split() == ["a-server", "first-package"]
    assert [call for call in machine.calls() if call.startswith("sudo") and "install" in call]
    assert done.stderr.splitlines() == [
        "setup: this distribution has no package a-file; what needs it is skipped",
        "setup: installing a-module would remove another package; what needs it is skipped",
    ]


def test_without_sudo_or_apt_get_one_sentence_names_the_packages(machine: Machine, tmp_path: Path) -> None:
    tools = tmp_path / "only"
    tools.mkdir()
    for name in ("bash", "awk", "cut", "sort", "tr", "sed", "expand", "dirname", "uname", "sh", "python3"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    shutil.copy(machine.programs / "id", tools)
    # The script appends the folders of administrators, in which Debian has no apt-get and no sudo.
    done = machine.run(path=str(tools))
    assert done.returncode == 3
    sentence = "setup: this is not a Debian or Ubuntu; install these packages' programs by hand: first-package"
    assert done.stderr.strip() == sentence
    shutil.copy(machine.programs / "apt-get", tools)
    done = machine.run(path=str(tools))
    assert done.returncode == 3
    assert "ask an administrator for: apt-get install first-package" in done.stderr


def test_an_unknown_option_is_a_usage_error(machine: Machine) -> None:
    done = machine.run("--pears")
    assert done.returncode == 2
    assert "setup: there is no option --pears" in done.stderr


def test_the_list_is_read_alike_by_python_and_by_the_script(machine: Machine) -> None:
    shutil.copy(packages.LIST, machine.script.parent)
    # No program can be found, and no group is left out.
    script = f'set -- --list; . {machine.script}; is_here() {{ return 1; }}; GROUPS_WANTED=" $EVERY "; missing_packages'
    every = " ".join({one.group for one in packages.programs()})
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "EVERY": every}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    listed = [tuple(line.split("\t")) for line in done.stdout.splitlines() if not line.startswith("linux-")]
    assert listed == [(one.package, one.purpose) for one in packages.programs()]


def test_every_implementation_with_a_package_is_in_the_list() -> None:
    listed = {one.package for one in packages.programs()}
    # A part of Debian that no set-up removes.
    listed |= {"python3"}
    named = {name for one in implementations().values() if not one.get for name in one.package.split()}
    assert named - listed == set()


def test_set_up_installs_what_the_objects_of_mininet_need() -> None:
    installed = {one.name for one in packages.of_groups(packages.NEEDED, packages.NETWORK)}
    # mininet.nodelib.NAT, LinuxBridge and the command line of Mininet.
    assert {"iptables", "brctl", "ifconfig", "killall", "sysctl"} <= installed


def test_set_up_of_a_checkout_takes_the_same_list() -> None:
    text = (REPOSITORY / "scripts" / "provision.sh").read_text()
    assert "source topologies/emulation/provisioning/packages.sh" in text
    assert [line for line in text.splitlines() if "apt-get" in line] == []


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    scripts = ["scripts/provision.sh", str(packages.SCRIPT), "scripts/release.sh"]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.stdout == ""
