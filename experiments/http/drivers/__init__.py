"""HTTP client programs that run on emulated hosts and send requests as an experiment commands."""
