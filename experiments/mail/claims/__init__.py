"""Decisions of the mail claims S1 to S11, M1 to M4 and A1 to A6, from packets and mailboxes."""
