"""Formulas that predict the durations of mail transfer, of recovery after an outage, and of mailbox access."""
