"""Experiments on HTTP/1.0, 1.1 and 2: page loads by connection strategy."""
