"""Experiments on FTP (RFC 959): data connections in active and passive mode, eavesdropping, and interoperability."""
