"""Mail drivers: client processes that send and read mail at an experiment's request."""
