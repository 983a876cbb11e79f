"""Mail servers and clients: MTA with queue, Maildir store, POP3 and IMAP servers, webmail, user agent.

The path of one message, from an SMTP client to the mailbox of a local user:

    step  module                     task
    1     smtp/server.py             asyncio: accept connections, pass octets to the session, handle its requests
    2     smtp/server_session.py     RFC 5321 without I/O: commands.py (table), syntax.py (command lines, replies,
                                     parameters), content.py (mail data)
    3     smtp/policy.py             reply to RCPT: accounts.py (local user?), relaying, quota, greylist.py
    4     mta.py                     add the Received field (delivery/trace.py); reply 250 once step 5 is on disk
    5     queue/spool.py             collect messages of all sessions, write and sync them at once (queue/journal.py)
    6     delivery/dispatcher.py     route each recipient; retry, expire, bounce (delivery/dsn.py)
    7     delivery/local.py          for each mailbox, in batches: write to tmp/, fsync, rename into new/
    8     maildir/delivery.py        file name, quota; UIDs are assigned by the first reader

Mail for other domains leaves the path at step 6: delivery/remote.py (one destination domain), delivery/routes.py and
delivery/mx_lookup.py (MX records), smtp/client.py and smtp/client_session.py (the connection).
"""
