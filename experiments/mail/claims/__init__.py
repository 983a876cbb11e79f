"""Checks of the mail claims S1 to S11 and M1 to M4 of claims.toml, decided from packets and mailboxes."""
