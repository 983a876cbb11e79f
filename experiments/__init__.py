"""Network experiments: each module poses one question, runs a workload and compares measurements with theory."""
