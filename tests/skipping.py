"""Skip a whole group of tests with one line."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def skip_at_once(
    config: pytest.Config, items: list[pytest.Item], ours: Callable[[pytest.Item], bool], why: str
) -> None:
    """Leave one of the tests that are ours, which is skipped and says why; with nothing to say, leave all."""
    group = [item for item in items if ours(item)]
    if not group or not why:
        return
    group[0].add_marker(pytest.mark.skip(reason=why))
    items[:] = [item for item in items if item not in group[1:]]
    config.hook.pytest_deselected(items=group[1:])
