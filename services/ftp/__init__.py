"""FTP (RFC 959): protocol interpreters of server and user, and the data connections that they agree on."""
