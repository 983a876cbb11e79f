"""HTTP client programs that run on emulated hosts, and send requests on command of an experiment."""
