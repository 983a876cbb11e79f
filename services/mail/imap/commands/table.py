"""IMAP command table: for each command, the session states that permit it, and its handler (RFC 3501 section 6).

Session states (RFC 3501 section 3) and the commands that change them:

    connect -> NOT_AUTHENTICATED
                   | LOGIN, AUTHENTICATE
                   v
               AUTHENTICATED  <---------------------------+
                   | SELECT, EXAMINE                      | CLOSE, UNSELECT,
                   v                                      | DELETE of the selected mailbox,
               SELECTED  ---------------------------------+ SELECT or EXAMINE that fails
                   |
    LOGOUT in any state, BYE (time-out, shutdown, too many errors) -> LOGOUT

Only this table defines in which states a command is valid; handlers do not check. Only SessionState changes the state
(methods `log_in`, `select`, `log_out`), called by handlers and, for BYE, by Session. A command in a wrong state is
answered by BAD before its arguments are parsed and before any literal is accepted, so that a client without
authentication cannot make the server buffer a message.

STARTTLS is not a state: it replaces the capabilities (no STARTTLS any more, passwords permitted) and discards commands
pipelined in cleartext. IDLE is not a state either: it is a command that waits for a continuation line. Meanwhile the
flag `idling` makes the connection poll the mailbox.

The table's third column is `may_expunge`: whether EXPUNGE may be sent at the command's end. Updates of the selected
mailbox (EXISTS, RECENT, FETCH FLAGS, EXPUNGE) are sent before every tagged response, but EXPUNGE renumbers messages.
RFC 3501 section 7.4.1 forbids EXPUNGE during FETCH, STORE and SEARCH, whose arguments or results are sequence numbers;
the UID variants of these commands permit EXPUNGE.
"""

from functools import partial

from lab7.services.mail.imap.command import Command
from lab7.services.mail.imap.commands import (
    append,
    fetch,
    idle,
    mailbox_list,
    mailboxes,
    messages,
    not_authenticated,
    notify,
    replace,
    search,
    select,
    sort,
    thread,
)
from lab7.services.mail.imap.session_state import State

_ANY = frozenset((State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED))
_NOT_YET = frozenset((State.NOT_AUTHENTICATED,))
_LOGGED_IN = frozenset((State.AUTHENTICATED, State.SELECTED))
_AUTHENTICATED = frozenset((State.AUTHENTICATED,))
_SELECTED = frozenset((State.SELECTED,))

COMMANDS: dict[bytes, Command] = {
    # RFC 3501 section 6.1
    b"CAPABILITY": Command(_ANY, not_authenticated.capability),
    b"NOOP": Command(_ANY, not_authenticated.noop),
    b"LOGOUT": Command(_ANY, not_authenticated.logout),
    # RFC 2971
    b"ID": Command(_ANY, not_authenticated.identify),
    # RFC 3501 section 6.2
    b"STARTTLS": Command(_NOT_YET, not_authenticated.starttls),
    b"AUTHENTICATE": Command(_NOT_YET, not_authenticated.authenticate),
    b"LOGIN": Command(_NOT_YET, not_authenticated.login),
    # RFC 3501 section 6.3
    b"SELECT": Command(_LOGGED_IN, select.select),
    b"EXAMINE": Command(_LOGGED_IN, partial(select.select, read_only=True)),
    b"CREATE": Command(_LOGGED_IN, mailboxes.create),
    b"DELETE": Command(_LOGGED_IN, mailboxes.delete),
    b"RENAME": Command(_LOGGED_IN, mailboxes.rename),
    b"SUBSCRIBE": Command(_LOGGED_IN, mailboxes.subscribe),
    b"UNSUBSCRIBE": Command(_LOGGED_IN, mailboxes.unsubscribe),
    b"LIST": Command(_LOGGED_IN, mailbox_list.list_mailboxes),
    b"LSUB": Command(_LOGGED_IN, mailbox_list.list_subscribed),
    b"STATUS": Command(_LOGGED_IN, mailboxes.status),
    b"APPEND": Command(_LOGGED_IN, append.append),
    # RFC 5161
    b"ENABLE": Command(_AUTHENTICATED, not_authenticated.enable),
    # RFC 5465
    b"NOTIFY": Command(_LOGGED_IN, notify.notify),
    # RFC 4978
    b"COMPRESS": Command(_LOGGED_IN, not_authenticated.compress),
    # RFC 2342
    b"NAMESPACE": Command(_LOGGED_IN, mailboxes.namespace),
    # RFC 2177
    b"IDLE": Command(_LOGGED_IN, idle.idle),
    # RFC 3501 section 6.4; section 7.4.1 forbids EXPUNGE responses during FETCH, STORE and SEARCH.
    b"CHECK": Command(_SELECTED, messages.check),
    b"CLOSE": Command(_SELECTED, messages.close),
    b"EXPUNGE": Command(_SELECTED, messages.expunge),
    b"SEARCH": Command(_SELECTED, search.search, may_expunge=False),
    b"FETCH": Command(_SELECTED, fetch.fetch, may_expunge=False),
    b"STORE": Command(_SELECTED, messages.store, may_expunge=False),
    b"COPY": Command(_SELECTED, messages.copy),
    # RFC 5256
    b"SORT": Command(_SELECTED, sort.sort, may_expunge=False),
    b"THREAD": Command(_SELECTED, thread.thread, may_expunge=False),
    # RFC 5267 section 4.5
    b"CANCELUPDATE": Command(_SELECTED, search.cancel_update),
    # RFC 3691, RFC 6851
    b"UNSELECT": Command(_SELECTED, messages.unselect),
    b"MOVE": Command(_SELECTED, messages.move),
    # RFC 8508
    b"REPLACE": Command(_SELECTED, replace.replace),
}

# RFC 3501 section 6.4.8, RFC 4315 section 2.1 and RFC 6851 define the commands that follow the prefix UID.
UID_COMMANDS: dict[bytes, Command] = {
    b"COPY": Command(_SELECTED, partial(messages.copy, by_uid=True)),
    b"EXPUNGE": Command(_SELECTED, messages.uid_expunge),
    b"FETCH": Command(_SELECTED, partial(fetch.fetch, by_uid=True)),
    b"MOVE": Command(_SELECTED, partial(messages.move, by_uid=True)),
    b"REPLACE": Command(_SELECTED, partial(replace.replace, by_uid=True)),
    b"SEARCH": Command(_SELECTED, partial(search.search, by_uid=True)),
    b"SORT": Command(_SELECTED, partial(sort.sort, by_uid=True)),
    b"STORE": Command(_SELECTED, partial(messages.store, by_uid=True)),
    b"THREAD": Command(_SELECTED, partial(thread.thread, by_uid=True)),
}
