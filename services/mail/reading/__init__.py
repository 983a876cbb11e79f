"""A message as a person reads it: its text, the pictures in it, and the files that came with it.

Pure functions on the structure that services.mail.mime finds; as there, no octets raise, and every count is bounded.
"""
