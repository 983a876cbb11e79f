"""Experiments on FTP (RFC 959): active and passive modes, eavesdropping, interoperability."""
