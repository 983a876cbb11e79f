"""Assignment dns-resolution: iterative resolution, referrals and glue, flags, caching, and TCP after truncation."""
