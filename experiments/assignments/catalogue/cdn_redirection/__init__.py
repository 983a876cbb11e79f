"""Assignment cdn-redirection: a CDN's request routing by DNS, its replicas per region, and their cache misses."""
