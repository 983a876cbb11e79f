"""Claims on mail (S1 to S11, M1 to M4), decided from packets and mailboxes."""
