"""Durable mail queue of the MTA, from the reply 250 to delivery or bounce (RFC 5321 sections 4.5.4 and 6.1).

A message in the queue is an Entry (entry.py): the envelope, the state of each recipient, the number of attempts, and
the time of the next attempt. On disk an Entry is one record of an append-only journal of several segment files
(journal.py), followed by Change records for retries and for recipients that became final (delivered or failed).
Replaying the records in order gives the state; no record is updated in place.

    accept    Spool.add([entry])         record E: envelope and content; written, fdatasync, then 250 to the client
    deliver   Spool.write_later(change)  record C: recipients that are final; not synced, see below
    retry     Spool.write_later(change)  record C: last reply, attempts, time of the next attempt
    bounce    Spool.add([dsn], change)   records E and C in one write: the DSN and the failure are recorded together
    forget    Journal.release()          remove segments without an open entry (one with undelivered recipients)

Group commit. One thread writes. Records that arrive during a write form the next batch, so that under load many
messages share one fdatasync. Space is preallocated with zeros, because each fdatasync of a growing file waits for the
file system's own journal.

Crashes. A torn record fails its CRC and is skipped. A crash before the sync leaves the message with the client, which
has no 250 and retries. A crash after a delivery and before its Change is on disk causes a second attempt. Local
delivery then finds its file by the queue id and does not deliver again; remote delivery may send a duplicate, which RFC
5321 section 6.1 prefers to a loss. For this reason Change records need no sync of their own.

Space. A segment is full at 16 MiB. Segments without an open entry are removed, the oldest first and without gaps: a
Change must not survive without its Entry, or the reverse. Above 8 segments, the open entries of the oldest segment are
copied into the newest. Otherwise one message that waits for days would keep all later segments on disk.

Retries. Schedule (entry.py): 60, 300, 900 s, then every 1800 s; expiry after five days (section 4.5.4.1). Failures that
concern a destination (no connection, no route) are counted per domain, in delivery/remote.py: one connection attempt
per interval for all messages to the domain. A 4yz reply for a recipient is counted per entry, in
delivery/dispatcher.py; so are the 450 replies of greylisting servers (smtp/greylist.py is this MTA's own greylist). A
5yz reply or expiry makes a recipient final and sends a DSN (delivery/dsn.py).
"""
