"""Assignment http2: frames, streams, header compression and multiplexing of HTTP/2, in comparison with HTTP/1.1."""
