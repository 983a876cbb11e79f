"""Reports of results: HTML pages and plots."""
