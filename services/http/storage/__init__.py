"""The store of a web cache: stored responses (RFC 9111 section 3), bounded, in memory and on disk.

Knows nothing of freshness; what may be stored and what may be reused is services.http.cache's to say.
"""
