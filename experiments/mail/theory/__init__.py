"""Closed-form predictions of mail times: transfer, recovery after an outage, mailbox access."""
