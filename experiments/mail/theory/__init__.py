"""Closed-form predictions of the times of mail transfer, of recovery after an outage, and of mailbox access."""
