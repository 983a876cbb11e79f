"""Verdicts on the claims (statements) of the course about mail, from captured packets and the content of mailboxes.

Claims S1 to S11 are about SMTP transfer, M1 to M4 about mailbox access, A1 to A6 about sender authentication.
"""
