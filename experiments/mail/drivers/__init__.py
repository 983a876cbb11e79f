"""Mail client programs that run on emulated hosts and take requests of an experiment on standard input."""
