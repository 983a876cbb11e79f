"""Checks of course claims F1 to F9 on FTP, decided from captured control and data connections."""
