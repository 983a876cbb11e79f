"""HTTP/2 connections, sans-IO: frames, header compression, streams and flow control (RFC 9113, RFC 7541).

The server uses the hpack library for header compression, but not h2: h2 treats several stream errors of RFC 9113 as
connection errors, and would take more CPU time than the rest of the server. The client uses h2, so that tests of client
and server test two independent implementations against each other.
"""
