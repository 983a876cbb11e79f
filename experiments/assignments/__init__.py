"""Packet-capture assignments: individual parameters and a capture for each student, answer keys, grading, feedback."""
