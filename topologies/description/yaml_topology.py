"""Topologies in YAML: a file of hosts, switches, links and parameters, checked by topology.schema.json.

    parameters: {delay: 10ms}
    switches: [s1]
    hosts:
      client: {ip: 10.0.0.1/24}
      server: {ip: 10.0.0.2/24, names: [www.example.com], serves: lab7.services.ftp.server --root . --listen 0.0.0.0}
    links:
      - [client, s1]
      - {between: [s1, server], delay: "${delay}", bw: 10}

Error messages name the file and the line. The JSON Schema keywords that the schema uses (type, enum, properties,
additionalProperties, required, items) are validated here, because a validator of parsed data has no line numbers.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from mininet.topo import Topo

from lab7.topologies.emulation.errors import UserFileError
from lab7.topologies.emulation.shape import SHAPING

ENDINGS = (".yaml", ".yml")
SCHEMA_NAME = "topology.schema.json"
# Levels of nesting in a file; the schema has five.
DEPTH_MAX = 20
_PARAMETER = re.compile(r"\$\{(\w+)\}")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@dataclass(frozen=True)
class YamlTopology:
    """Topology read from a YAML file: name, description, example commands, and the function that builds it."""

    name: str
    text: str
    tries: tuple[str, ...]
    make: Callable[..., Topo]


def is_yaml(name: str) -> bool:
    """Return whether a word is the path of a YAML file."""
    return name.endswith(ENDINGS)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of topology files."""
    text = resources.files("lab7.topologies.description").joinpath(SCHEMA_NAME).read_text(encoding="utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def load_yaml(file: str) -> YamlTopology:
    """Read a topology from a YAML file. Raises UserFileError, which names the line of a mistake."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserFileError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserFileError(f"{file}{line}: this is not YAML: {getattr(error, 'problem', error)}") from error
    if root is None:
        raise UserFileError(f"{file} is empty: it needs `hosts:`")
    checked = _Checked(file)
    data = checked.value(root, schema(), "the file", 0)
    checked.names(data)
    defaults = data.get("parameters", {})
    signature = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value) for name, value in defaults.items()]
    )

    def make(**given: Any) -> Topo:
        return _build(data, {**defaults, **given})

    vars(make)["__signature__"] = signature
    name = data.get("name", Path(file).stem)
    return YamlTopology(name, data.get("text", ""), tuple(data.get("try", ())), make)


class _Checked:
    """Converter of parsed YAML to data, checked against the schema; it stores the line of each value for errors."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: dict[str, int] = {}

    def fail(self, path: str, message: str) -> None:
        """Raise UserFileError, with the line of the value at `path` in the YAML file."""
        raise UserFileError(f"{self._file}:{self._lines.get(path, 1)}: {message}")

    def value(self, node: yaml.Node, rule: Mapping[str, Any], path: str, depth: int) -> Any:
        """Convert a YAML node to Python data, and check it against the schema `rule`.

        Raises UserFileError if it is invalid.
        """
        self._lines[path] = node.start_mark.line + 1
        if depth > DEPTH_MAX:
            self.fail(path, "the file is nested too deeply")
        types = rule.get("type", [])
        wanted = [types] if isinstance(types, str) else list(types)
        if isinstance(node, yaml.MappingNode):
            data: Any = self._object(node, rule, path, depth) if "object" in wanted or not wanted else {}
        elif isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            data = [self.value(one, rule.get("items", {}), f"{path}[{place}]", depth + 1) for place, one in items]
        else:
            data = yaml.SafeLoader("").construct_object(node)
        kinds = tuple(kind for name in wanted for kind in _TYPES[name])
        if wanted and (not isinstance(data, kinds) or (isinstance(data, bool) and "boolean" not in wanted)):
            self.fail(path, f"{path} must be {' or '.join(wanted)}, not {_kind(data)}")
        if "enum" in rule and data not in rule["enum"]:
            self.fail(path, f"{path} must be {' or '.join(rule['enum'])}, not {data!r}")
        return data

    def _object(self, node: yaml.MappingNode, rule: Mapping[str, Any], path: str, depth: int) -> dict[str, Any]:
        known, others = rule.get("properties", {}), rule.get("additionalProperties", True)
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            place = f"{path}.{key}" if depth else key
            self._lines[place] = key_node.start_mark.line + 1
            if key in data:
                self.fail(place, f"{key} is there twice")
            if key not in known and others is False:
                self.fail(place, f"unknown key {key!r} in {path}: there are {', '.join(known)}")
            inner = known.get(key, others if isinstance(others, dict) else {})
            data[key] = self.value(value_node, inner, place, depth + 1)
        for key in rule.get("required", ()):
            if key not in data:
                self.fail(path, f"{path} needs `{key}:`")
        return data

    def names(self, data: Mapping[str, Any]) -> None:
        """Check that each link joins two declared nodes, and that each ${NAME} in a value is a declared parameter."""
        nodes = {*data["hosts"], *data.get("switches", ())}
        for place, link in enumerate(data.get("links", ())):
            path = f"links[{place}]"
            ends = link if isinstance(link, list) else link["between"]
            if len(ends) != 2:
                self.fail(path, f"a link joins two nodes, not {len(ends)}")
            for end in [*ends, *(link.get("ips", ()) if isinstance(link, dict) else ())]:
                if end not in nodes:
                    self.fail(path, f"there is no node {end!r}: there are {', '.join(sorted(nodes))}")
        self._parameters(
            "", {name: value for name, value in data.items() if name != "text"}, data.get("parameters", {})
        )

    def _parameters(self, path: str, value: Any, known: Mapping[str, Any]) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                self._parameters(f"{path}.{key}" if path else key, one, known)
        elif isinstance(value, list):
            for place, one in enumerate(value):
                self._parameters(f"{path}[{place}]", one, known)
        elif isinstance(value, str):
            for name in _PARAMETER.findall(value):
                if name not in known:
                    self.fail(path, f"unknown parameter ${{{name}}}: declare it in `parameters:`")


def _kind(data: Any) -> str:
    return next(name for name, kinds in reversed(_TYPES.items()) if isinstance(data, kinds))


def _build(data: Mapping[str, Any], parameters: Mapping[str, Any]) -> Topo:
    topo = Topo()
    for name in ("arp", "ipv6"):
        if name in data:
            setattr(topo, name, data[name])
    for switch in data.get("switches", ()):
        topo.addSwitch(switch)
    for host, options in data["hosts"].items():
        topo.addHost(host, **_with(options or {}, parameters))
    for link in data.get("links", ()):
        options = {} if isinstance(link, list) else _with(link, parameters)
        first, second = link if isinstance(link, list) else link["between"]
        ips = options.get("ips", {})
        ends = {f"params{place}": {"ip": ips[end]} for place, end in enumerate((first, second), 1) if end in ips}
        topo.addLink(first, second, **{name: options[name] for name in SHAPING if name in options}, **ends)
    return topo


def _with(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a value in which each ${NAME} is replaced by the parameter of that name.

    A text that is exactly one ${NAME} becomes a value of the parameter's type.
    """
    if isinstance(value, dict):
        return {key: _with(one, parameters) for key, one in value.items()}
    if isinstance(value, list):
        return [_with(one, parameters) for one in value]
    if not isinstance(value, str):
        return value
    if whole := _PARAMETER.fullmatch(value):
        return parameters[whole[1]]
    return _PARAMETER.sub(lambda found: str(parameters[found[1]]), value)
