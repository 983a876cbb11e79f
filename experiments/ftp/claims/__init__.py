"""Claims on FTP (F1 to F9), decided from captured control and data connections."""
