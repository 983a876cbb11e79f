"""User files of the FTP server: path names, a directory tree confined to its root, quotas and listings."""
