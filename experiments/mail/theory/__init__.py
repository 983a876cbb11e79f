"""Theory of mail times: transfer, queue outages and mailbox access."""
