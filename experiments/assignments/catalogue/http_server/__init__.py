"""Program assignment http-server: an HTTP/1.1 server for static files, written by the student."""
