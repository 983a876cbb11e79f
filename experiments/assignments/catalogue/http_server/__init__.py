"""The program assignment http-server."""
