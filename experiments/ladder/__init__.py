"""Ladder diagrams (time-space diagrams) of captures: hosts as columns, time downwards, a message as a sloping arrow."""
