"""Assignment ftp-modes: control and data connections, active and passive mode, data types, and clear-text login."""
