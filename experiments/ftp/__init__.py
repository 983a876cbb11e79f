"""Experiments on FTP (RFC 959): active and passive mode, eavesdropping, interoperability."""
