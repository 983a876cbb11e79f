"""Closed forms of mail times: transfer, recovery after an outage, mailbox access."""
