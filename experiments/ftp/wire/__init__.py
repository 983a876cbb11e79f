"""FTP sessions and data connections parsed from captures."""
