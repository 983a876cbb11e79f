"""Checks of course claims H1 to H14 and K1 to K3 on HTTP, decided from captured messages."""
