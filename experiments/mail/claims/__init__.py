"""Decision of the course's claims (statements) on mail, S1 to S11, M1 to M4, A1 to A6, from packets and mailboxes."""
