"""The HTTP server shell: connections, deadlines and request bodies."""
