"""HTTP/2 connections, sans-IO: frames, header compression, streams and flow control (RFC 9113, RFC 7541).

The server is an implementation of its own, with the hpack library for header compression: h2 treats several stream
errors of RFC 9113 as connection errors, and its bookkeeping takes more time than everything else together. The client
uses h2, so that tests between the two compare independent implementations.
"""
