"""HTTP/2 for the server and the client of this room: frames, header blocks, streams and windows (RFC 9113, RFC 7541).

The server's side is written out on a frame layer of its own, with the hpack library for header compression: h2 makes
a connection error of what RFC 9113 calls a stream error, and its bookkeeping costs more than all else together. The
client's side stands on h2, so that each side is tried against an implementation that it shares nothing with.
"""
