"""FTP client: user-PI and user-DTP (RFC 959 section 2.2), and reports of transfers."""
