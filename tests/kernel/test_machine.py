"""What lab7 says of such a machine, and that an ordinary user can work on it."""

from __future__ import annotations

from tests.kernel.kernel import Lane

# Of the kernel, and of its first process.
TROUBLE = ("Call Trace", "BUG:", "WARNING:", "init:")


def test_doctor_finds_netem_and_open_vswitch(lane: Lane) -> None:
    done = lane.job("doctor")
    assert (done.code, done.stderr) == (0, "")
    findings = {one["name"]: (one["good"], one["meaning"]) for one in done.json()["findings"]}
    assert findings["netem"] == (True, "links are emulated by the kernel")
    assert findings["Open vSwitch"] == (True, "switches can be Open vSwitch")
    assert findings["TAP"] == (True, "links in user space are available")


def test_an_ordinary_user_has_a_sandbox_with_links_by_the_kernel_and_wires(lane: Lane) -> None:
    done = lane.job("ordinary-user")
    assert done.code == 0, done.stdout
    assert "skipped" not in done.stdout


def test_nothing_went_wrong_in_the_kernel_itself(lane: Lane) -> None:
    for kernel in lane.kernels:
        kernel.job(kernel.jobs[-1].name)
        said = kernel.console()
        assert [line for line in said if any(word in line for word in TROUBLE)] == []
