"""Runs in virtual time, inside a user-mode kernel."""
