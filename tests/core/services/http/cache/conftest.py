"""Assertion rewriting for the modules of checks, so that a failing assertion shows its values."""

import pytest

for name in ("oracle", "examining", "client_view", "model_cache", "histories"):
    pytest.register_assert_rewrite(f"tests.core.services.http.cache.{name}")
