"""Packet-capture assignments: individual variants, recordings, answer keys, grading and feedback."""
