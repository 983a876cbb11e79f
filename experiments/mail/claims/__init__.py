"""Decisions of mail claims S1 to S11, M1 to M4 and A1 to A6 (statements of the course), from packets and mailboxes."""
