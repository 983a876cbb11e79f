"""Mail drivers: processes in a client host that send and read mail as they are told."""
