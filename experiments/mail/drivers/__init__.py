"""Mail client programs on emulated hosts, which experiments control by JSON requests on standard input."""
