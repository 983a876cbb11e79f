"""Every limit of the FTP services, named once, each with its source."""

from dataclasses import dataclass

# Linux's PATH_MAX is 4096 octets; a verb, a space and the end of the line come on top.
LINE_OCTETS = 4096 + 16

# Commands that may wait while one is being carried out: far more than any client sends ahead. Then reading stops.
WAITING_COMMANDS = 64

# Octets that may wait unread beside them: what one read brings at most.
READ_OCTETS = 65_536

# Replies of 5yz in a row after which a session is ended. ProFTPD's mod_ban and the like act on tens of them.
REFUSALS_IN_A_ROW = 100

# RFC 2577 section 5 asks for a bound on wrong passwords; vsftpd's max_login_fails is 3.
LOGIN_ATTEMPTS = 3

# RFC 2577 section 3: no data connection to a port below this one.
DATA_PORT_MIN = 1024

# A file offset is a signed 64-bit number: 19 digits hold each.
OFFSET_DIGITS = 19

# RFC 3659 section 4 lets a server refuse a SIZE that costs too much: in TYPE A each octet has to be looked at.
ASCII_SIZE_OCTETS = 64 * 1024 * 1024

# Entries of one listing; a directory with more is listed so far and the reply says it.
LISTED_ENTRIES = 100_000

# Lines of a STAT or a SITE reply on the control connection.
STATUS_LINES = 1000

# Linux follows 40 symbolic links on the way to one file (path_resolution(7)).
LINKS_FOLLOWED = 40

# How deep a path may go; a walk holds one descriptor a level.
PATH_SEGMENTS = 100

# What one transfer sends in one turn of the event loop where there are many, some 0.2 ms; a sole one has its turn to
# itself. Longer turns fill the socket's buffer, and then each turn waits for the peer.
TURN_OCTETS = 512 * 1024
SOLE_TURN_OCTETS = 4 * 1024 * 1024

# What moves in one step of a worker thread, so that an ABOR is seen soon and others get their turn.
STEP_OCTETS = 16 * 1024 * 1024

# One read from a data connection; loopback and fast links fill it.
RECEIVE_OCTETS = 256 * 1024

# One piece of a file that is converted to TYPE A.
ASCII_OCTETS = 256 * 1024

# How long a worker thread waits for more before it gives its place to another transfer.
STEP_WAIT_MS = 2

# Threads that read and write files for all sessions. None of them waits for a client.
WORKERS = 8

# Connections from others to one passive port that are refused before the port is given up.
STRANGERS = 64

# A reply that a client reads: RFC 959 sets no bound; STAT and FEAT of known servers are far shorter.
REPLY_OCTETS = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server that its command line sets: counts and seconds."""

    # pyftpdlib's max_cons default.
    sessions: int = 512
    # So that one host cannot take all of them; vsftpd and pyftpdlib have such a bound, off by default.
    sessions_an_address: int = 256
    # RFC 1123 section 4.1.3.2: five minutes at least.
    idle_s: float = 300.0
    # OpenSSH's LoginGraceTime: from the connection to the login, whatever the client sends meanwhile.
    login_s: float = 120.0
    # vsftpd's delay_failed_login; RFC 2577 section 5 suggests 5 s.
    wrong_password_s: float = 1.0
    # Commands a session may send: far more than any user agent does over any network.
    commands_a_second: float = 2000.0
    # After the last reply, for a user who does not read it.
    linger_s: float = 5.0
    # On a stop, what is under way may still take; Docker kills after 10 s.
    drain_s: float = 5.0
    sweep_s: float = 0.5
