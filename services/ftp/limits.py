"""Limits of the FTP server and client: buffer sizes, counts and time-outs, each explained by a comment."""

from dataclasses import dataclass

# Maximum length of a command line: Linux's PATH_MAX, 4096 octets, and a verb, a space and the end of the line.
LINE_OCTETS = 4096 + 16

# Maximum commands buffered while a command is executed, above which reading pauses; no client pipelines as many.
WAITING_COMMANDS = 64

# Maximum octets buffered while a command is executed: the size of one read.
READ_OCTETS = 65_536

# Maximum consecutive 5yz replies, after which a session is ended; ProFTPD's mod_ban acts on some tens.
REFUSALS_IN_A_ROW = 100

# Maximum wrong passwords per session: RFC 2577 section 5 suggests a limit; vsftpd's max_login_fails is 3.
LOGIN_ATTEMPTS = 3

# Lowest client port for a data connection in active mode: well-known ports are excluded (RFC 2577 section 3).
DATA_PORT_MIN = 1024

# Maximum digits of a file offset, which is a signed 64-bit number.
OFFSET_DIGITS = 19

# Largest file whose SIZE in TYPE A is computed, for which the whole file is read; RFC 3659 section 4 permits a refusal.
ASCII_SIZE_OCTETS = 64 * 1024 * 1024

# Maximum entries of one listing; longer listings are truncated, which the reply reports.
LISTED_ENTRIES = 100_000

# Maximum lines of a reply to STAT or SITE on the control connection.
STATUS_LINES = 1000

# Maximum symbolic links followed in one path: Linux's limit (path_resolution(7)).
LINKS_FOLLOWED = 40

# Maximum length of a file name: Linux's NAME_MAX.
NAME_OCTETS = 255

# Maximum depth of a path: while it is resolved, one file descriptor is open for each level.
PATH_SEGMENTS = 100

# Maximum octets that a transfer sends per turn on the event loop while others are in progress: about 0.2 ms.
TURN_OCTETS = 512 * 1024
# Maximum octets that a transfer sends per turn while it is the only one: more would fill the socket's buffer.
SOLE_TURN_OCTETS = 4 * 1024 * 1024

# Maximum octets that a worker thread transfers before ABOR is handled and the thread serves another transfer.
STEP_OCTETS = 16 * 1024 * 1024

# Maximum octets of one read from a data connection: as much as loopback and fast links deliver at a time.
RECEIVE_OCTETS = 256 * 1024

# Maximum octets of a file that are converted to TYPE A at a time.
ASCII_OCTETS = 256 * 1024

# Milliseconds that a worker thread waits for a slow peer before it continues with another transfer.
STEP_WAIT_MS = 2

# Number of worker threads that read and write files for all sessions.
WORKERS = 8

# Maximum number of refused connections from other hosts to a passive port; above it the port is closed.
REFUSED_PEERS = 64

# Maximum octets of a reply that the client accepts: RFC 959 has no limit; STAT and FEAT replies are far shorter.
REPLY_OCTETS = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one FTP server, set by its command line: numbers of sessions, timeouts in seconds, and rates."""

    # Maximum number of concurrent sessions: pyftpdlib's default of max_cons.
    sessions: int = 512
    # Maximum sessions of one address, so that one host cannot take all; vsftpd and pyftpdlib have no limit by default.
    sessions_an_address: int = 256
    # Timeout in seconds without a command: RFC 1123 section 4.1.3.2 requires five minutes at least.
    idle_s: float = 300.0
    # Timeout in seconds from the connection to the login, whatever the client sends: OpenSSH's LoginGraceTime.
    login_s: float = 120.0
    # Delay in seconds of the reply to a wrong password: vsftpd's delay_failed_login; RFC 2577 section 5 suggests 5 s.
    wrong_password_s: float = 1.0
    # Maximum commands per second in one session, far more than a client sends; a faster session is throttled.
    commands_a_second: float = 2000.0
    # Time in seconds after which the connection is aborted if the client does not read the last reply.
    linger_s: float = 5.0
    # Grace period in seconds for commands and transfers at shutdown; Docker kills a container after 10 s.
    drain_s: float = 5.0
    sweep_s: float = 0.5
