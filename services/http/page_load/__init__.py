"""The page load client: HTML links, connection strategies and timings."""
