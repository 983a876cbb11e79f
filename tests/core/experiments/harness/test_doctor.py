"""The extent to which lab7 can run, by the findings about a machine, and the steps that supply what it lacks."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab7.experiments.harness.cli import common, load_command
from lab7.experiments.harness.doctor import examination, repair
from lab7.experiments.harness.doctor.examination import VIRTUAL_TIME, Ability, Finding, ability
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.virtual import builder, kernel


def sandbox(good: bool) -> Finding:
    return Finding("sandbox", good, "", real_alone=True)


def virtual(good: bool) -> Finding:
    return Finding(VIRTUAL_TIME, good, "", needed=False)


@pytest.mark.parametrize(
    ("findings", "found"),
    [
        ([sandbox(True), virtual(False), Finding("ip", True, "")], Ability.ALL),
        ([sandbox(False), virtual(True), Finding("ip", True, "")], Ability.VIRTUAL_ALONE),
        ([sandbox(False), virtual(False), Finding("ip", True, "")], Ability.NONE),
        ([sandbox(False), virtual(True), Finding("ip", False, "")], Ability.NONE),
        ([sandbox(True), virtual(True), Finding("ip", False, "")], Ability.NONE),
    ],
)
def test_without_namespaces_virtual_time_is_left(findings: list[Finding], found: Ability) -> None:
    assert ability(findings) is found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of an ordinary user with apt-get and sudo, which lacks a package, /dev/net/tun and the kernel."""
    script = tmp_path / "packages.sh"
    script.write_text('[ "$1" != --list ] && touch "$0.ran" && exit 0\nprintf "tcpdump\\tread captures\\n"\n')
    monkeypatch.setattr(packages, "SCRIPT", script)
    monkeypatch.setattr(repair, "TUN_DEVICE", str(tmp_path / "net" / "tun"))
    monkeypatch.setattr(kernel, "find", lambda: None)
    monkeypatch.setattr(kernel, "unsupported", lambda: "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(tools, "which", lambda name, *_more: f"/usr/bin/{name}")
    return tmp_path


@pytest.mark.usefixtures("machine")
def test_a_plan_says_what_and_why_and_the_command(machine: Path) -> None:
    install, tun, build = repair.make_plan().steps
    assert install.command == "sudo apt-get install --no-install-recommends tcpdump"
    assert install.why == ("tcpdump: read captures",)
    assert tun.words[0] == "sudo"
    assert "modprobe tun" in tun.command
    assert build.command.endswith("-m lab7.topologies.emulation.virtual.builder")
    assert "--time virtual" in build.why[0]
    assert [step.what for step in repair.make_plan(virtual=False).steps] == [install.what, tun.what]
    assert not (machine / "packages.sh.ran").exists()


def test_a_device_without_rights_is_opened_to_all(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "net").mkdir()
    (machine / "net" / "tun").touch()
    assert len(repair.make_plan().steps) == 2
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    step = repair.make_plan().steps[1]
    assert step.command == f"sudo sh -c 'chmod 0666 {machine / 'net' / 'tun'}'"
    # As root and for real.
    (machine / "net" / "tun").chmod(0o600)
    assert repair.carry_out(replace(step, words=step.words[1:]))
    assert (machine / "net" / "tun").stat().st_mode & 0o777 == 0o666


@pytest.mark.usefixtures("machine")
def test_what_cannot_be_supplied_is_one_sentence_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "which", lambda name, *_more: None if name in ("apt-get", "sudo") else f"/bin/{name}")
    monkeypatch.setattr(builder, "SOURCES", Path("/no/such/folder"))
    plan = repair.make_plan()
    assert plan.steps == ()
    assert plan.obstacles[0].endswith("install what these packages of Debian hold by hand: tcpdump")
    assert "ask an administrator for `modprobe tun" in plan.obstacles[1]
    assert "its kernel is built from Debian's linux-source-6.1.tar.xz" in plan.obstacles[2]
    monkeypatch.setattr(kernel, "unsupported", lambda: "this machine is aarch64")
    assert repair.make_plan().obstacles[2] == "no virtual time here: this machine is aarch64"


@pytest.mark.usefixtures("machine")
def test_an_administrator_builds_the_kernel_for_all_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert not repair.make_plan().steps[2].command.endswith("--shared")
    monkeypatch.setenv("SUDO_UID", "1000")
    assert repair.make_plan().steps[2].command.endswith("--shared")


def test_with_json_the_steps_are_listed_and_nothing_is_changed(machine: Path) -> None:
    done = CliRunner().invoke(load_command("doctor"), ["--fix", "--json", "--no-kernel"])
    found = json.loads(done.output)
    assert found["steps"][0]["what"] == "install system packages"
    assert not (machine / "packages.sh.ran").exists()
    assert CliRunner().invoke(load_command("doctor"), ["--fix", "--json", "--yes"]).exit_code == common.USAGE


def test_it_asks_before_it_changes_anything(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "_open_tun", lambda: None)
    monkeypatch.setattr(examination, "examine", lambda: [sandbox(True)])
    ran = machine / "packages.sh.ran"
    done = CliRunner().invoke(load_command("doctor"), ["--fix", "--no-kernel"])
    assert done.exit_code == common.USAGE
    assert "no terminal to ask on: `lab7 doctor --fix --yes`" in done.output
    monkeypatch.setattr("lab7.experiments.harness.cli.doctor._can_ask", lambda: True)
    done = CliRunner().invoke(load_command("doctor"), ["--fix", "--no-kernel"], input="n\n")
    assert "Do this? [y/N]" in done.output
    assert not ran.exists()
    done = CliRunner().invoke(load_command("doctor"), ["--fix", "--no-kernel"], input="y\n")
    assert (done.exit_code, ran.exists()) == (common.SHOWN, True)
    assert done.output.splitlines()[-1] == Ability.ALL.value


@pytest.mark.usefixtures("machine")
def test_a_step_that_fails_is_told_and_the_next_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def fail(step: repair.Step) -> bool:
        tried.append(step.what)
        return False

    monkeypatch.setattr(repair, "carry_out", fail)
    monkeypatch.setattr(examination, "examine", lambda: [sandbox(True)])
    done = CliRunner().invoke(load_command("doctor"), ["--fix", "--yes"])
    assert (done.exit_code, len(tried)) == (common.CANNOT, 3)
    assert [f"lab7: this step failed: {what}" in done.output for what in tried] == [True] * 3


@pytest.mark.parametrize("option", ["--yes", "--peers", "--no-kernel"])
def test_an_option_of_the_repair_alone_is_a_usage_error(option: str) -> None:
    done = CliRunner().invoke(load_command("doctor"), [option])
    assert (done.exit_code, f"`lab7 doctor --fix {option}`" in done.output) == (common.USAGE, True)
