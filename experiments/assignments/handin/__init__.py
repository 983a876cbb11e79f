"""Signed hand-ins: task file of a student, signed record of a run with its capture, and verification."""
