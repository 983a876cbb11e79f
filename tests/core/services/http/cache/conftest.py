"""The checks stand in modules of their own; a failing one shows its values as one in a test does."""

import pytest

for name in ("oracle", "examining", "client_view", "model_cache", "histories"):
    pytest.register_assert_rewrite(f"tests.core.services.http.cache.{name}")
