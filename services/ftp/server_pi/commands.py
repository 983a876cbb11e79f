"""Command table of server-PI: maps each verb to the states in which it is allowed, its handler and its syntax.

In any other state, a command gets reply 530 if it requires a login and no user is logged in, else 503. A handler is a
function of the session and the argument; if it raises ArgumentError or PathError, the reply is 501.
"""

from lab7.services.ftp.server_pi import access, file_commands, information, parameters, transfer_commands
from lab7.services.ftp.server_pi.session import ALWAYS, LOGGED_IN, ConnectionInfo, ServerSession, State, Verb

_AFTER_USER = frozenset((State.PASSWORD,))
_FOR_ACCOUNT = frozenset((State.ACCOUNT, State.READY, State.RENAMING))
_AFTER_RNFR = frozenset((State.RENAMING,))


_PATH, _ANY_PATH = "path", "[path]"

VERBS: dict[bytes, Verb] = {
    # RFC 959 section 4.1.1: access control
    b"USER": Verb(ALWAYS, access.user, "name"),
    b"PASS": Verb(_AFTER_USER, access.password, "[password]", "Login with USER first."),
    b"ACCT": Verb(_FOR_ACCOUNT, access.account, "account", "Login with USER and PASS first."),
    b"CWD": Verb(LOGGED_IN, file_commands.change_directory, _PATH),
    b"XCWD": Verb(LOGGED_IN, file_commands.change_directory, _PATH),
    b"CDUP": Verb(LOGGED_IN, file_commands.change_to_parent),
    b"XCUP": Verb(LOGGED_IN, file_commands.change_to_parent),
    b"REIN": Verb(ALWAYS, access.reinitialise),
    b"QUIT": Verb(ALWAYS, access.quit_session),
    # Transfer parameter commands (RFC 959 section 4.1.2, RFC 2428).
    b"PORT": Verb(LOGGED_IN, parameters.port, "h1,h2,h3,h4,p1,p2"),
    b"PASV": Verb(LOGGED_IN, parameters.passive),
    b"EPRT": Verb(LOGGED_IN, parameters.extended_port, "|protocol|address|port|"),
    b"EPSV": Verb(LOGGED_IN, parameters.extended_passive, "[1 or 2 or ALL]"),
    b"TYPE": Verb(LOGGED_IN, parameters.representation_type, "A N or I or L 8"),
    b"STRU": Verb(LOGGED_IN, parameters.structure, "F"),
    b"MODE": Verb(LOGGED_IN, parameters.transmission_mode, "S"),
    # RFC 959 section 4.1.3: service
    b"RETR": Verb(LOGGED_IN, transfer_commands.retrieve, _PATH),
    b"STOR": Verb(LOGGED_IN, transfer_commands.store, _PATH),
    b"STOU": Verb(LOGGED_IN, transfer_commands.store_unique, _ANY_PATH),
    b"APPE": Verb(LOGGED_IN, transfer_commands.append, _PATH),
    b"ALLO": Verb(LOGGED_IN, parameters.allocate, "octets [R octets]"),
    b"REST": Verb(LOGGED_IN, parameters.restart, "octet"),
    b"RNFR": Verb(LOGGED_IN, file_commands.rename_from, _PATH),
    b"RNTO": Verb(_AFTER_RNFR, file_commands.rename_to, _PATH, "RNFR required first."),
    b"ABOR": Verb(ALWAYS, transfer_commands.abort),
    b"DELE": Verb(LOGGED_IN, file_commands.delete, _PATH),
    b"RMD": Verb(LOGGED_IN, file_commands.remove_directory, _PATH),
    b"XRMD": Verb(LOGGED_IN, file_commands.remove_directory, _PATH),
    b"MKD": Verb(LOGGED_IN, file_commands.make_directory, _PATH),
    b"XMKD": Verb(LOGGED_IN, file_commands.make_directory, _PATH),
    b"PWD": Verb(LOGGED_IN, file_commands.print_directory),
    b"XPWD": Verb(LOGGED_IN, file_commands.print_directory),
    b"LIST": Verb(LOGGED_IN, transfer_commands.list_long, _ANY_PATH),
    b"NLST": Verb(LOGGED_IN, transfer_commands.list_names, _ANY_PATH),
    b"SITE": Verb(LOGGED_IN, information.site, "CHMOD mode path"),
    b"SYST": Verb(ALWAYS, information.system),
    b"STAT": Verb(ALWAYS, information.status, _ANY_PATH),
    b"HELP": Verb(ALWAYS, information.help_text, "[command]"),
    b"NOOP": Verb(ALWAYS, information.no_operation),
    # RFC 2389 and RFC 3659
    b"FEAT": Verb(ALWAYS, information.features),
    b"OPTS": Verb(ALWAYS, information.options, "UTF8 ON or MLST facts"),
    b"SIZE": Verb(LOGGED_IN, file_commands.size, _PATH),
    b"MDTM": Verb(LOGGED_IN, file_commands.modification_time, _PATH),
    # draft-somers-ftp-mfxx-04
    b"MFMT": Verb(LOGGED_IN, file_commands.set_modification_time, "YYYYMMDDhhmmss path"),
    b"MLST": Verb(LOGGED_IN, file_commands.list_one, _ANY_PATH),
    b"MLSD": Verb(LOGGED_IN, transfer_commands.list_facts, _ANY_PATH),
}

# Commands of RFC 959, 2228, 2640 and 7151 that get reply 502, not implemented; unknown commands get reply 500.
NOT_IMPLEMENTED = frozenset(
    (b"SMNT", b"AUTH", b"ADAT", b"PBSZ", b"PROT", b"CCC", b"MIC", b"CONF", b"ENC", b"LANG", b"HOST", b"LPRT", b"LPSV")
)


def server_pi(connection_info: ConnectionInfo) -> ServerSession:
    """Return a new sans-IO session of the server's protocol interpreter (server-PI), with all commands."""
    return ServerSession(connection_info, VERBS, NOT_IMPLEMENTED)
