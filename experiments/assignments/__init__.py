"""Packet-capture assignments: an individual variant and capture per student, answer keys, grading and feedback."""
