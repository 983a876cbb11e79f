"""Signed hand-ins of captures: the student's task file, the signed record of a run, and the teacher's verification."""
