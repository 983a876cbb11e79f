"""Record of invalidated cache keys: which responses may be outdated."""

import pytest

from lab7.services.http.intermediary import caching_proxy
from lab7.services.http.intermediary.caching_proxy import Invalidations


def test_a_request_sent_before_an_invalidation_is_outdated_and_one_sent_after_is_not() -> None:
    known = Invalidations()
    before = known.count
    known.note(b"a")
    assert known.is_outdated(b"a", before)
    assert not known.is_outdated(b"b", before)
    assert not known.is_outdated(b"a", known.count)


def test_what_is_no_longer_known_counts_as_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching_proxy, "INVALIDATIONS_MAX", 2)
    known = Invalidations()
    before = known.count
    for key in (b"a", b"b", b"c"):
        known.note(key)
    assert known.is_outdated(b"a", before)
    assert not known.is_outdated(b"a", known.count)
