"""Server data transfer process, server-DTP (RFC 959 section 2.2): data connections and the transfers on them."""
