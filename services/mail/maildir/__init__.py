"""Maildir mailbox store with Maildir++ folders and quota: a file per message, shared without locks by all programs.

    DIR/tmp/                 messages being written
    DIR/new/                 messages not yet seen by any reader
    DIR/cur/                 messages seen by a reader; the flags follow `:2,` in the file name
    DIR/.Work/               folder Work, of the same layout; DIR/.Work.2026/ is Work/2026 (Maildir++)
    DIR/.Work/lab7-uids      index of unique identifiers, UIDs (RFC 3501 section 2.3.1.1)

DIR is the directory of one user. A message is added by one rename and removed by one unlink, so that a process may be
killed at any time, and other programs may add, flag, move and remove messages concurrently. Specifications:
https://cr.yp.to/proto/maildir.html and Maildir++ with its quota. Lines end in LF on disk, as other programs expect, and
in CRLF in all interfaces.
"""
