"""Checks of course claims C1 to C8 on content delivery networks, decided from captured DNS and HTTP packets."""
