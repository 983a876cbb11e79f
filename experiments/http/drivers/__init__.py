"""HTTP drivers: processes in a client host that load pages as they are told."""
