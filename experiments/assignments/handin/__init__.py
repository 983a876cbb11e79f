"""Signed hand-ins of captures: task file with a student's signing key, signed record of a run, and verification."""
