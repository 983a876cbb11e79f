"""Mail: an MTA with its queue, Maildir storage, POP3 and IMAP servers, webmail and a user agent.

The path of one message, from an SMTP client to the mailbox of a local user:

    step  module                     task
    1     smtp/server.py             accept the connection; limits on their number, deadlines
    2     smtp/server_connection.py  asyncio: pass octets to the session, write its replies, handle its requests
    3     smtp/server_session.py     RFC 5321 without I/O: commands.py (table), lines.py (framing), parameters.py
                                     (MAIL, RCPT), content.py (mail data), reply.py
    4     smtp/policy.py             reply to RCPT: accounts.py (local user?), relaying, quota, greylist.py
    5     mta.py                     add the Received field (delivery/trace.py), reply 250 once the queue is durable
    6     queue/spool.py             batch the writes of all sessions; queue/journal.py writes, queue/entry.py encodes
    7     delivery/dispatcher.py     route each recipient; retry, expire, bounce (delivery/dsn.py)
    8     delivery/local.py          batch per mailbox, write to tmp/, fsync, rename into new/
    9     maildir/                   quota (quota.py), file name (file_names.py); UIDs are assigned by the first reader

Mail for other domains leaves the path at step 7: delivery/remote.py (one destination domain), delivery/routes.py and
delivery/mx_lookup.py (MX records), smtp/client.py and smtp/client_session.py (the connection).
"""
