"""Assignment web-cache: hits, validation by conditional requests, freshness, and the octets that a cache saves."""
