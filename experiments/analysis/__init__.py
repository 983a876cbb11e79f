"""Capture analysis: application messages in a capture of any program, and their violations of protocol rules."""
