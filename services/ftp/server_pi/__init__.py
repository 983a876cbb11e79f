"""Server protocol interpreter, server-PI (RFC 959 section 2.2): session, command table and handlers."""
