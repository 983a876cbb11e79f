"""Assignment http-server, in which students write an HTTP/1.1 server for static files."""
