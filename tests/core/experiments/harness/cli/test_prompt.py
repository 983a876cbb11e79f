"""The prompt of a network: names that stand for hosts, unknown commands, and Tab."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mininet.cli
import pytest

from lab7.experiments.harness.cli import mininet_shell
from lab7.experiments.harness.cli.interface.typed_names import stand_for_hosts

HOSTS = ("alice", "carol", "ns-root", "h2")


@pytest.mark.parametrize(
    ("line", "hosts"),
    [
        ("alice ping carol", ["carol"]),
        ("alice ping -c 3 carol", ["carol"]),
        ("alice iperf -c h2 -t 5", ["h2"]),
        ("alice arp -s h2 00:00:00:00:00:02", ["h2"]),
        ("alice nc -u h2 53", ["h2"]),
        ("alice iperf -u -c h2", ["h2"]),
        ("alice ip route add default via h2", ["h2"]),
        ("alice python3 client.py h2", ["h2"]),
        ("alice echo carol -u carol", []),
        ("alice echo carol; ping carol", ["carol"]),
        ("alice echo hi | nc carol 25", ["carol"]),
        ("alice /bin/echo carol", []),
        ("alice curl -u carol ftp://carol/", []),
        ("alice curl -u carol h2", ["h2"]),
        ("alice ssh -l carol h2", ["h2"]),
        ("alice swaks --auth-user alice --server carol", []),
        ("alice su carol", []),
        ("alice sudo -u carol id", []),
        ("alice sudo ping carol", ["carol"]),
        ("alice cat carol", []),
        ("alice ping  'carol'", []),
        ("alice getent passwd carol", []),
        ("alice carol", []),
    ],
)
def test_a_name_stands_for_a_host_where_the_command_means_one(line: str, hosts: list[str]) -> None:
    words = line.split(" ")
    assert [words[place] for place in stand_for_hosts(words, HOSTS)] == hosts


class Net(dict[str, Any]):
    """Nodes by name, as Mininet's network has them."""

    @property
    def hosts(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self if not name.startswith("s")]


@pytest.fixture
def shell() -> Any:
    made: Any = mininet_shell.Shell.__new__(mininet_shell.Shell)
    made.mn = Net({"client": None, "ns-root": None, "ns-com": None, "s1": None})
    return made


def test_an_unknown_command_says_where_commands_run(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for module in (mininet_shell, mininet.cli):
        monkeypatch.setattr(module, "error", told.append)
    shell.onecmd("curl -s http://www.example.com/")
    shell.onecmd("clinet ls")
    assert told[:2] == [
        "*** Unknown command: curl -s http://www.example.com/\n",
        "    a command runs in a host, such as `client curl -s http://www.example.com/`; the hosts are "
        "client, ns-root, ns-com\n",
    ]
    assert told[2] == "*** Unknown command: clinet ls\n"
    assert "(did you mean client?)" in told[3]


def test_tab_completes_hosts_and_commands(shell: Any) -> None:
    assert shell.completenames("ns-") == ["ns-com", "ns-root"]
    assert {"pingall", "pingpair"} <= set(shell.completenames("ping"))
    assert shell.completenames("cl") == ["client"]
    assert "ping" in shell.completedefault("pin", "client pin", 7, 10)
    assert shell.completedefault("ns-r", "client ping ns-r", 12, 16) == ["ns-root"]


def test_tab_completes_a_name_with_a_hyphen_as_one_word() -> None:
    readline = pytest.importorskip("readline")
    before = readline.get_completer_delims()
    mininet_shell.Shell.initReadline()
    assert "-" not in readline.get_completer_delims()
    readline.set_completer_delims(before)
