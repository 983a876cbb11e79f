"""Claims on FTP (statements of the course: F1 to F9), decided from captured control and data connections."""
