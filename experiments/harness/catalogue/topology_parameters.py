"""Parameters of topologies given as text (`--set delay=5ms`): names, conversion, and construction of the topology."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping
from typing import Any

from mininet.topo import Topo
from mininet.util import makeNumeric

from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.topologies.emulation.errors import TopologyError, UserFileError
from lab7.topologies.emulation.shape import has_unit, is_time
from lab7.topologies.emulation.user_module import explain

TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Parameters of links that are times (TCLink).
LINK_TIMES = ("delay", "jitter")


class TopologyParameterError(ValueError):
    """Unknown, missing or invalid parameter of a topology; the message is one sentence with the valid form."""


def make_topology(name: str, make: Any, given: Mapping[str, str]) -> Any:
    """Call the constructor `make` of the topology `name` with parameters given as text; return the topology.

    Raises TopologyParameterError, TopologyError, UserFileError.
    """
    known = parameters_of(make)
    for parameter in given:
        if parameter not in known:
            there = ", ".join(known) or "none"
            raise TopologyParameterError(
                f"the topology {name} has no parameter {parameter!r}{did_you_mean(parameter, known)}: it has {there}"
            )
    for parameter in _required(make):
        if parameter in known and parameter not in given:
            raise TopologyParameterError(f"the topology {name} needs {parameter}: give it by --set {parameter}=VALUE")
    values = {each: _as_default(each, text, known[each].default) for each, text in given.items()}
    try:
        topo = _checked(make(**values), name)
    except Exception as error:
        # Report an error in a user's file with its line; re-raise unexpected errors of lab7's own topologies.
        if where := explain(error):
            raise UserFileError(where) from error
        if isinstance(error, TypeError | ValueError):
            raise TopologyError(f"the topology {name} cannot be built with these parameters: {error}") from error
        raise
    _check_units(topo, given)
    return topo


def parameters_of(make: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a topology's constructor, keyed by name.

    `topos` may export a function, as in Mininet's own examples. An __init__() that accepts any keyword argument, as
    Topo's does, passes the keyword arguments on to build().
    """
    parameters = list(inspect.signature(make).parameters.values())
    if hasattr(make, "build") and any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        names = {parameter.name for parameter in parameters}
        there = inspect.signature(make.build).parameters.values()
        parameters += [parameter for parameter in there if parameter.name not in names]
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        parameter.name: parameter
        for parameter in parameters
        if parameter.name != "self" and parameter.kind not in unnamed
    }


def _checked(topo: Any, name: str) -> Topo:
    if not isinstance(topo, Topo):
        kind = type(topo).__name__
        raise TopologyError(f"the topology {name} is of type {kind}: let topos name a class derived from Topo")
    for node in topo.g.nodes():
        if not isinstance(node, str):
            raise TopologyError(f"the name {node!r} in the topology {name} is not text: write {str(node)!r}")
    return topo


def _check_units(topo: Any, given: Mapping[str, str]) -> None:
    """Raise TopologyParameterError for a time of a link that was typed on the command line without a unit.

    In a topology file, a number without a unit is in microseconds, as for tc and Mininet. On a command line, users
    mostly mean milliseconds.
    """
    bare = {name: text for name, text in given.items() if is_time(text) and not has_unit(text)}
    if not bare:
        return
    times = {
        str(info[name])
        for _source, _target, info in topo.links(withInfo=True)
        for name in LINK_TIMES
        if info.get(name) is not None
    }
    for name, text in bare.items():
        if {text, str(makeNumeric(text))} & times:
            raise TopologyParameterError(_without_unit(name, text))


def _without_unit(name: str, text: str) -> str:
    return f"{name}={text!r} has no unit: write {name}={text}ms, {name}={text}us or {name}={text}s"


def _required(make: Any) -> list[str]:
    """Return the names of the constructor's parameters without a default.

    For a class that inherits the constructor of Mininet's Topo, these are the parameters of build().
    """
    called = make.build if getattr(make, "__init__", None) is Topo.__init__ else make
    parameters = inspect.signature(called).parameters.values()
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in unnamed
    ]


def _as_default(name: str, text: str, default: Any) -> Any:
    """Convert a parameter's text to the type of its default. Raises TopologyParameterError.

    Without a default, a text that is a number becomes a number.
    """
    if isinstance(default, bool):
        if text.lower() not in TRUTH:
            raise TopologyParameterError(
                f"{name}={text!r} is not a boolean: use true or false, for example {name}={default}"
            )
        return TRUTH[text.lower()]
    if default is None or default is inspect.Parameter.empty:
        with contextlib.suppress(ValueError):
            return makeNumeric(text)
        return text
    if not isinstance(default, int | float):
        if isinstance(default, str) and has_unit(default) and is_time(text) and not has_unit(text):
            raise TopologyParameterError(_without_unit(name, text))
        return text
    try:
        return type(default)(text) if isinstance(default, float) else _number(text)
    except ValueError:
        raise TopologyParameterError(f"{name}={text!r} is not a number, for example {name}={default}") from None


def _number(text: str) -> int | float:
    """Parse a number: an int if it has no fraction, else a float. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        return float(text)
