"""HTTP/1.0, HTTP/1.1 and HTTP/2: origin server, caching proxy and page-load client (RFC 9110 to 9113)."""
