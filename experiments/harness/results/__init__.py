"""Results of experiments: result folder, result.json, timings.csv, and comparison of two runs octet by octet."""
