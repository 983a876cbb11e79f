"""Parameters of topologies and experiments as typed: units of times, names, and suggestions for misspelt ones."""

from __future__ import annotations

import pytest
from mininet.topo import Topo

from lab7.experiments.harness.catalogue.topology_parameters import TopologyParameterError, make_topology, parameters_of
from lab7.experiments.harness.discovery import all_experiments, all_topologies, find_topology
from lab7.experiments.harness.experiment import ParameterError
from lab7.experiments.harness.parameters import listed, period, seconds
from lab7.topologies.emulation.shape import has_unit


class PassingOn(Topo):  # type: ignore[misc]
    """A person's topology that passes its parameters on to a link as they come."""

    def build(self, delay: str | None = None, jitter: str | None = None, bw: float | None = None) -> None:
        self.addLink(self.addHost("a"), self.addSwitch("s1"), delay=delay, jitter=jitter, bw=bw)


class InMilliseconds(Topo):  # type: ignore[misc]
    """A person's topology whose delay is a number of milliseconds by its own rule."""

    def build(self, delay: float | None = None) -> None:
        self.addLink(self.addHost("a"), self.addSwitch("s1"), delay=f"{delay}ms")


@pytest.mark.parametrize("parse", [seconds, period, listed(seconds)])
@pytest.mark.parametrize("text", ["50", "0.05", " 50 ", "5e1"])
def test_a_time_without_a_unit_is_refused_with_the_units(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=rf"needs a unit: write {text.strip()}ms, {text.strip()}us or {text.strip()}s"):
        parse(text)


def test_a_time_of_every_experiment_needs_a_unit() -> None:
    """Each parameter whose default is a time with a unit refuses a bare number."""
    timed = [
        (experiment, name)
        for experiment in all_experiments().values()
        for name, parameter in experiment.parameters.items()
        if parameter.default.split(",")[0].endswith("ms") or parameter.default == "4s"
    ]
    assert len(timed) > 15
    for experiment, name in timed:
        with pytest.raises(ParameterError, match="needs a unit: write 50ms, 50us or 50s"):
            experiment.read_parameters({name: "50"})


def test_a_time_of_every_topology_needs_a_unit() -> None:
    timed = [
        (entry, name)
        for entry in all_topologies().values()
        for name, parameter in parameters_of(entry.make).items()
        if isinstance(parameter.default, str) and has_unit(parameter.default)
    ]
    assert {"web", "ftp", "mail"} <= {entry.name for entry, _ in timed}
    for entry, name in timed:
        with pytest.raises(
            TopologyParameterError, match=f"^{name}='50' has no unit: write {name}=50ms, {name}=50us or"
        ):
            make_topology(entry.name, entry.make, {name: "50"})
    assert make_topology("web", find_topology("web").make, {"delay": "50ms"}).hosts()


@pytest.mark.parametrize("name", ["delay", "jitter"])
@pytest.mark.parametrize("text", ["50", "50.5"])
def test_a_bare_number_that_reaches_a_link_as_a_time_is_refused(name: str, text: str) -> None:
    with pytest.raises(TopologyParameterError, match=f"{name}='{text}' has no unit"):
        make_topology("own", PassingOn, {name: text})


def test_numbers_that_are_no_times_of_a_link_need_no_unit() -> None:
    make_topology("own", PassingOn, {"bw": "50"})
    make_topology("own", PassingOn, {"delay": "0"})
    topo = make_topology("own", InMilliseconds, {"delay": "50"})
    assert [info["delay"] for _, _, info in topo.links(withInfo=True)] == ["50ms"]


@pytest.mark.parametrize(
    ("word", "meant"), [("dealy", "delay"), ("client", "clients"), ("originflags", "origin_flags")]
)
def test_a_misspelt_parameter_of_a_topology_has_a_suggestion(word: str, meant: str) -> None:
    entry = find_topology("web")
    with pytest.raises(TopologyParameterError, match=rf"has no parameter '{word}' \(did you mean {meant}\?\): it has"):
        make_topology("web", entry.make, {word: "1"})


def test_a_misspelt_parameter_of_an_experiment_has_a_suggestion() -> None:
    with pytest.raises(ParameterError, match=r"has no parameter 'rrt' \(did you mean rtt\?\): its parameters are"):
        all_experiments()["http-versions"].read_parameters({"rrt": "1ms"})
