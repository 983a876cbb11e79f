"""A mailbox as a directory: one file a message, delivered without locks, shared by all who read it.

    DIR/tmp/                 messages that are being written
    DIR/new/                 messages that nobody has looked at
    DIR/cur/                 messages that somebody has; what follows `:2,` in a name are the flags
    DIR/.Work/               the folder Work, of the same form; DIR/.Work.2026/ is Work/2026 (Maildir++)
    DIR/.Work/lab7-uids      which message has which unique identifier (RFC 3501 section 2.3.1.1)

A message appears by one rename and goes by one unlink, so that a process may be killed at any moment, and other
programs may add, flag, move and remove messages at the same time. Obeyed: https://cr.yp.to/proto/maildir.html and
Maildir++ with its quota. Lines end in LF on the disk, as other programs expect, and in CRLF wherever a message is read.
"""
