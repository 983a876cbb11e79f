"""The registry of implementations: each can be started or queried, and --replace is parsed as documented."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.implementations import registry
from lab7.experiments.harness.implementations.registry import (
    PROXY_PORTS,
    Implementation,
    ReplacementError,
    as_files,
    expand,
    implementations,
    of_proxy,
    of_role,
    parse_replacement,
)
from lab7.experiments.harness.template_engine import TEMPLATES, render
from lab7.experiments.http.theory import STRATEGIES
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError, MachineError

WEB_ROLES = ("origin", "client", "proxy", "replica")
DNS_ROLES = ("authoritative", "local", "dns-client", "cdn-dns")
MAIL_ROLES = ("mta", "mailbox", "mail-client")
ROLES = (*WEB_ROLES, *DNS_ROLES, "ftp-server", "ftp-client", "sftp-server", *MAIL_ROLES)
# HTTP/2 begun by Upgrade has no formula of its own, and is asked for in the matrix only.
SPOKEN = {*STRATEGIES, "2-upgrade"}
FETCHED = {"1.0", "1.1", "2", "2-upgrade", "2-push"}
URL, OBJECTS = "http://www.example.com/", ["http://www.example.com/a.png", "http://www.example.com/b.png"]
SERVER_VALUES: dict[str, Any] = {"root": "/srv/site", "port": 80, "folder": "/run/h", "objects": ["/a.png", "/b.png"]}
CLIENT_VALUES: dict[str, Any] = {"url": URL, "objects": OBJECTS, "folder": "/run/h"}

ALL = list(implementations().values())
SERVERS, CLIENTS, PROXIES = of_role("origin"), of_role("client"), of_role("proxy")


def names(some: list[Implementation]) -> list[str]:
    return [one.name for one in some]


def test_every_entry_is_there_once() -> None:
    entries = tomllib.loads(registry.REGISTRY.read_text())["implementation"]
    own = [key for key in implementations() if key[0] not in registry.SAME]
    assert [(one["role"], one["name"]) for one in entries] == own
    assert {one.role for one in ALL} == set(ROLES)
    assert sum(len(of_role(role)) for role in ROLES) == len(ALL)


@pytest.mark.parametrize("one", ALL, ids=names(ALL))
def test_every_entry_says_how_to_get_it_and_which_version_it_is(one: Implementation) -> None:
    assert one.program
    assert one.package
    words = expand(one.version, {"program": f"/opt/{one.program}"})
    assert one.program in words or f"/opt/{one.program} " in words[-1]
    assert not one.own


@pytest.mark.parametrize("one", SERVERS, ids=names(SERVERS))
def test_a_server_has_a_command_and_says_what_it_speaks(one: Implementation) -> None:
    assert one.command
    assert one.speaks
    assert set(one.speaks) <= SPOKEN
    assert set(one.ports) <= set(one.speaks)
    assert set(one.known) <= set(one.speaks)
    assert all(cause.strip() for cause in one.known.values())
    assert (one.commands, one.fetches) == ({}, {})
    for strategy in SPOKEN:
        assert one.supports(strategy) == (strategy in one.speaks)
        assert one.port(strategy) == one.ports.get(strategy, 80)


@pytest.mark.parametrize("one", CLIENTS, ids=names(CLIENTS))
def test_a_client_has_commands_by_strategy_or_by_protocol(one: Implementation) -> None:
    assert one.commands or one.fetches
    assert set(one.commands) <= set(STRATEGIES)
    assert set(one.fetches) <= FETCHED
    assert (one.command, one.speaks) == (None, ())
    assert [name for name in STRATEGIES if one.supports(name)] == [name for name in STRATEGIES if name in one.commands]


@pytest.mark.parametrize("one", SERVERS, ids=names(SERVERS))
@pytest.mark.parametrize("objects", [[], ["/a.png"], ["/a.png", "/b.png"]])
def test_a_server_s_templates_render_to_its_words(one: Implementation, objects: list[str]) -> None:
    values = SERVER_VALUES | {"ports": dict(one.ports), "objects": objects}
    if one.config is not None:
        text = render(f"implementations/{one.config}", **values)
        assert "/srv/site" in text
        assert "{{" not in text
        values["config"] = f"/run/h/{one.config.removesuffix('.j2')}"
    assert one.command is not None
    words = expand(one.command, values)
    assert words[0] == one.program
    said = " ".join(words) + (text if one.config is not None else "")
    assert "/srv/site" in said
    assert "80" in said


@pytest.mark.parametrize(
    ("one", "template"), [(one, text) for one in CLIENTS for text in (*one.commands.values(), *one.fetches.values())]
)
def test_a_client_s_templates_render_to_its_words(one: Implementation, template: str) -> None:
    words = expand(template, CLIENT_VALUES)
    assert words[0] in (one.program, "sh")
    assert one.program in " ".join(words)
    assert URL in " ".join(words)


@pytest.mark.parametrize("one", of_role("dns-client"), ids=names(of_role("dns-client")))
def test_a_stub_resolver_s_command_has_server_name_and_type(one: Implementation) -> None:
    assert list(one.fetches) == ["query"]
    words = expand(one.fetches["query"], {"server": "10.1.0.53", "name": "www.example.com.", "type": "MX"})
    assert all(word in " ".join(words) for word in (one.program, "10.1.0.53", "www.example.com.", "MX"))


def test_every_configuration_belongs_to_an_implementation() -> None:
    configs = {one.config for one in ALL if one.config} | {name for one in ALL for name in one.files.values()}
    assert {path.name for path in (TEMPLATES / "implementations").iterdir()} == configs


def test_a_role_that_another_one_fills_has_its_programs_in_the_mode_it_needs() -> None:
    for role, (same, mode) in registry.SAME.items():
        fit = [one for one in of_role(same) if mode in one.modes]
        assert fit
        assert [(one.name, one.command, one.modes) for one in of_role(role)] == [
            (one.name, one.command, (mode,)) for one in fit
        ]


@pytest.mark.parametrize("one", [*PROXIES, *of_role("replica")], ids=lambda one: f"{one.role} {one.name}")
def test_a_proxy_s_templates_name_its_port_its_folder_and_the_origin_that_it_stands_for(one: Implementation) -> None:
    assert set(one.modes) <= set(PROXY_PORTS)
    assert one.modes
    assert one.command is not None
    for mode in one.modes:
        known = {"mode": mode, "origin": "http://www.example.com:8081", "folder": "/run/h", "address": "10.7.0.100"}
        known["role"] = one.role
        known |= of_proxy(one, known)
        templates = [*([one.config] if one.config else []), *one.files.values()]
        texts = [render(f"implementations/{template}", **known) for template in templates]
        words = expand(one.command, {**known, "config": "/run/h/config"})
        said = "\n".join([*texts, *words])
        assert one.program in said
        assert str(PROXY_PORTS[mode]) in said
        assert "/run/h" in said
        # A forward proxy is told by its clients.
        assert ("www.example.com" in said and "8081" in said) == (mode == "reverse")


def test_a_proxy_is_refused_a_mode_that_it_does_not_know() -> None:
    with pytest.raises(EmulationError, match="nginx does not support forward mode: use reverse"):
        of_proxy(implementations()["proxy", "nginx"], {"mode": "forward", "origin": "http://www.example.com"})


def test_a_person_s_own_proxy_may_be_either() -> None:
    _, own = parse_replacement("proxy=python3 my_proxy.py --port {port} --origin {origin}", ROLES)
    assert own is not None
    for mode, port in PROXY_PORTS.items():
        assert of_proxy(own, {"mode": mode, "origin": "http://10.7.1.1"})["port"] == port


@pytest.mark.parametrize("one", ALL, ids=names(ALL))
def test_a_real_program_is_chosen_by_name(one: Implementation) -> None:
    assert parse_replacement(f"{one.role}={one.name}", ROLES) == (one.role, one)
    assert parse_replacement(f"{one.role}= {one.name} ", ROLES) == (one.role, one)


@pytest.mark.parametrize("role", ROLES)
def test_lab7_stands_for_its_own_service(role: str) -> None:
    assert parse_replacement(f"{role}=lab7", ROLES) == (role, None)


def test_a_person_s_own_command_is_filled_in_and_put_to_every_test() -> None:
    typed = "python3 my_server.py --port {port} --root {root}"
    role, own = parse_replacement(f"origin={typed}", ROLES)
    assert role == "origin"
    assert own is not None
    assert (own.own, own.program) == (True, "python3")
    # Results tell one program of one's own from another.
    assert own.describe() == typed
    assert own.command is not None
    assert expand(own.command, SERVER_VALUES) == shlex.split("python3 my_server.py --port 80 --root /srv/site")
    assert all(own.supports(strategy) for strategy in SPOKEN)
    assert own.port("2") == 80


def test_an_equals_sign_belongs_to_the_command() -> None:
    _, own = parse_replacement("origin=python3 own.py --port={port}", ROLES)
    assert own is not None
    assert own.command is not None
    assert expand(own.command, SERVER_VALUES) == ["python3", "own.py", "--port=80"]


def test_a_client_of_one_s_own_is_given_the_objects_as_words() -> None:
    _, own = parse_replacement("client=python3 'my client.py' {url} {objects}", ROLES)
    assert own is not None
    assert own.command is not None
    assert expand(own.command, CLIENT_VALUES) == ["python3", "my client.py", URL, *OBJECTS]


def test_a_list_is_given_as_words_and_each_stays_one_word() -> None:
    _, own = parse_replacement("client=own {names} {url}", ROLES)
    assert own is not None
    assert own.command is not None
    values = {**CLIENT_VALUES, "names": ["a b.txt", "$HOME"]}
    assert expand(own.command, values) == ["own", "a b.txt", "$HOME", URL]


def test_tables_are_given_as_files(tmp_path: Path) -> None:
    known = {"zones": [["example.com.", "own.zone"]], "users": {"bob": "secret"}, "port": 53}
    paths = as_files(known, tmp_path)
    assert Path(paths["zones"]).read_text() == f"example.com.\t{tmp_path / 'own.zone'}\n"
    assert Path(paths["users"]).read_text() == "bob:secret\n"
    assert paths.keys() == {"zones", "users"}


def test_braces_that_are_no_name_stay() -> None:
    _, own = parse_replacement("""origin=own --set '{"a": 1}' {port}""", ROLES)
    assert own is not None
    assert own.command is not None
    assert expand(own.command, SERVER_VALUES) == ["own", "--set", '{"a": 1}', "80"]


def test_an_address_with_an_ampersand_stays_as_it_is() -> None:
    assert expand("curl {{ url }}", {"url": "http://h/?a=1&b=<2>"}) == ["curl", "http://h/?a=1&b=<2>"]


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_name_lists_those_that_exist(role: str) -> None:
    with pytest.raises(ReplacementError) as error:
        parse_replacement(f"{role}=nginks", ROLES)
    for name in ("lab7", *names(of_role(role)), f"{role}=python3 my_{role}.py "):
        assert name in str(error.value)


def test_what_an_unknown_origin_is_told_can_be_typed() -> None:
    with pytest.raises(ReplacementError) as error:
        parse_replacement("origin=nginks", ROLES)
    _, own = parse_replacement(str(error.value).rpartition("such as ")[2].strip("'"), ROLES)
    assert own is not None
    assert own.command is not None
    assert expand(own.command, SERVER_VALUES)[-1] == SERVER_VALUES["root"]


def test_a_client_s_name_is_no_origin() -> None:
    with pytest.raises(ReplacementError, match="there is no origin of that name"):
        parse_replacement("origin=curl", ROLES)


@pytest.mark.parametrize("text", ["server=nginx", "nginx", "", "=nginx", "Origin=nginx"])
def test_a_wrong_role_lists_the_roles(text: str) -> None:
    with pytest.raises(ReplacementError, match=f"the roles are {', '.join(ROLES)}, as in origin=NAME"):
        parse_replacement(text, ROLES)


def test_where_nothing_can_be_replaced_it_is_said() -> None:
    with pytest.raises(ReplacementError, match="there is no role to replace"):
        parse_replacement("origin=nginx", ())


@pytest.mark.parametrize("what", ["python3 'my server.py", 'own "', "own \\"])
def test_quotes_that_do_not_balance_are_named(what: str) -> None:
    with pytest.raises(ReplacementError, match=r"cannot parse .*: No"):
        parse_replacement(f"origin={what}", ROLES)


@pytest.mark.parametrize("what", ["", " ", "''"])
def test_no_command_is_no_name_either(what: str) -> None:
    with pytest.raises(ReplacementError, match=r"names no program: write origin=NAME|there is no origin of that name"):
        parse_replacement(f"origin={what}", ROLES)


@pytest.mark.parametrize("template", ["own {{ prot }}", "own {{ port", "own {% if %}", "own '{{ port }}"])
def test_a_command_that_cannot_be_filled_in_is_one_clear_error(template: str) -> None:
    with pytest.raises(EmulationError) as error:
        expand(template, SERVER_VALUES)
    assert "'own " in str(error.value).replace('"', "'")
    assert "it may use {root}, {port}, {folder}, {objects}" in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text())
def test_whatever_a_person_types_is_read_or_refused(text: str) -> None:
    try:
        _, own = parse_replacement(f"origin={text}", ROLES)
        words = expand(own.command, SERVER_VALUES) if own is not None and own.command is not None else []
    except (ReplacementError, EmulationError):
        return
    assert all(isinstance(word, str) for word in words)


def test_what_is_not_installed_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "SYSTEM_FOLDERS", ())
    nginx = implementations()["origin", "nginx"]
    assert not nginx.installed()
    with pytest.raises(MachineError, match="nginx is not installed: `sudo apt-get install nginx-light`"):
        nginx.require()
    _, own = parse_replacement("origin=./own --port {port}", ROLES)
    assert own is not None
    with pytest.raises(MachineError, match=r"^\./own is not installed$"):
        own.require()
    # What cannot say its version is called by its name.
    assert nginx.describe() == "nginx"


@pytest.mark.parametrize("one", ALL, ids=names(ALL))
def test_every_program_that_is_here_says_its_version(one: Implementation) -> None:
    if not one.installed():
        pytest.skip(f"{one.name} is not installed")
    if "unshare" in one.version and os.geteuid() != 0:
        pytest.skip("it says that in a mount namespace, which a sandbox or root can make")
    assert re.fullmatch(rf"{re.escape(one.name)} \d+\.\d+[\w.]*", one.describe())


@pytest.mark.parametrize(
    ("output", "described"), [("own/1.22.1 (x)", "own 1.22.1"), ("own 3.0rc1", "own 3.0rc1"), ("none", "own")]
)
def test_a_version_is_the_first_number_that_a_program_says(output: str, described: str) -> None:
    own = Implementation("own", "origin", "echo", version=f"echo '{output}'")
    assert own.describe() == described
    assert dataclasses.replace(own, version=f"sh -c 'echo \"{output}\" >&2'").describe() == described
