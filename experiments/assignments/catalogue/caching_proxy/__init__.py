"""Program assignment caching-proxy: a shared HTTP cache, written by the student, between a client and an origin."""
