"""Mail: SMTP and its queue, mailboxes, and the protocols that read them."""
