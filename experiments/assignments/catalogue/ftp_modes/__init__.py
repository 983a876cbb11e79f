"""Assignment ftp-modes: control and data connections of FTP, active and passive mode, types, and clear-text login."""
