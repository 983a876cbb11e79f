"""The file system of an FTP user: jailed tree, paths, quota and listings."""
