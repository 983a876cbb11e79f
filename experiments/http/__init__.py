"""Experiments on HTTP/1.0, HTTP/1.1 and HTTP/2: page loads with different uses of connections."""
