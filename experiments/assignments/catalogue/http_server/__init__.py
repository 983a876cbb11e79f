"""Program assignment http-server: an HTTP/1.1 server of files, written by the student."""
