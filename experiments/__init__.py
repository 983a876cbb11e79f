"""One question a file: topology, workload, claims, theory."""
