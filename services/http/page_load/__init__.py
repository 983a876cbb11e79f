"""Page-load client: HTML links, connections, strategies and timings."""
