"""Capture analysis: the application messages of any capture, and the protocol rules that they violate."""
