"""HTTP client programs that run on emulated hosts and load pages when an experiment requests so."""
