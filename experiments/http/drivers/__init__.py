"""HTTP drivers: client processes that load pages at an experiment's request."""
