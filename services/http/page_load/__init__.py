"""Page-load client: parser of HTML links, HTTP connections, page-load strategies, and timings.

A page-load strategy is an HTTP version with a use of connections: serial, parallel, persistent, pipelined or
multiplexed (see strategies.py).
"""
