"""The program assignment dns-server."""
