"""Results of experiments: folders, result.json, timings.csv, comparison of two runs."""
