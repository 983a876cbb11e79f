"""Reports of experiment results: HTML pages and plots."""
