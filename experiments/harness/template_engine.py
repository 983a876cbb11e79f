"""Template engine (jinja2) of all HTML pages and configuration files that lab7 writes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent / "templates"


@cache
def environment() -> Environment:
    """Return the jinja2 environment, which escapes HTML templates only and raises an error for an undefined name."""
    # Imported late: `lab7 list` and every start of a program need none of its 20 ms.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.j2", "html"], default_for_string=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(_FILTERS)
    made.globals.update(_GLOBALS)
    return made


def declare(filters: Mapping[str, Callable[..., Any]], **values: Any) -> None:
    """Add filters and global names for all templates; a module calls it when it is imported."""
    _FILTERS.update(filters)
    _GLOBALS.update(values)
    environment.cache_clear()


def _as_words(value: Any) -> str:
    """Return a template value as words of a command line; a list becomes one word per element."""
    return shlex.join(value) if isinstance(value, list | tuple) else str(value)


_FILTERS: dict[str, Callable[..., Any]] = {"words": _as_words}
_GLOBALS: dict[str, Any] = {}


def render(template: str, **values: Any) -> str:
    """Render a template file of lab7 with these values, and return the text."""
    return environment().get_template(template).render(**values)
