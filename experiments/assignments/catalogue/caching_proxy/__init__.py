"""Assignment caching-proxy, in which students write a shared HTTP cache between a client and an origin server."""
