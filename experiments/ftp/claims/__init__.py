"""Claims on FTP (F1 to F9), decided from control and data connections."""
