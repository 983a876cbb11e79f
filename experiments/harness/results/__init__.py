"""Result folders: result.json, timings, comparison of two results."""
