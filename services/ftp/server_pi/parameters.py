"""Transfer parameter commands PORT, PASV, EPRT, EPSV, TYPE, MODE, STRU, ALLO and REST (RFC 959 section 4.1.2).

EPRT and EPSV are specified in RFC 2428, REST in RFC 3659 section 5.

Against the bounce attack, PORT and EPRT accept only the client's own address and ports from 1024 on, and get reply 504
otherwise (RFC 2577 section 3). Only stream mode and file structure are supported: RFC 1123 section 4.1.2.13 requires no
more of a host whose file system has no records. Without PORT or PASV, the data connection goes to the client's control
port (RFC 959 section 3.2).
"""

from lab7.services.ftp import grammar
from lab7.services.ftp.grammar import ArgumentError, DataAddress
from lab7.services.ftp.limits import DATA_PORT_MIN
from lab7.services.ftp.replies import host_port
from lab7.services.ftp.server_pi.actions import CloseData, Listening, OpenPassive, Result
from lab7.services.ftp.server_pi.failures import Failed
from lab7.services.ftp.server_pi.session import ServerSession

_EPSV_ONLY = "After EPSV ALL, only EPSV is accepted."


def port(session: ServerSession, argument: str) -> None:
    """Handle PORT: select active mode with the address in the argument."""
    _take_target(session, 1, grammar.parse_host_port(argument))


def extended_port(session: ServerSession, argument: str) -> None:
    """Handle EPRT: select active mode, with an address of any address family (RFC 2428 section 2)."""
    protocol, target = grammar.parse_extended(argument)
    if protocol != session.connection_info.protocol:
        session.reply(522, f"Network protocol not supported, use ({session.connection_info.protocol}).")
        return
    _take_target(session, protocol, target)


def passive(session: ServerSession, _: str) -> None:
    """Handle PASV: select passive mode and reply with the server's address and port, which must be IPv4."""
    if session.connection_info.protocol != 1:
        session.reply(502, "PASV supports IPv4 only: use EPSV.")
        return
    _listen(session, 227)


def extended_passive(session: ServerSession, argument: str) -> None:
    """Handle EPSV: select passive mode and reply with the port only (RFC 2428 section 3).

    EPSV ALL disables PORT, PASV and EPRT for the rest of the session (section 4).
    """
    value = argument.strip().upper()
    if value == "ALL":
        session.only_extended_passive = True
        session.reply(200, _EPSV_ONLY)
    elif value and not (value.isascii() and value.isdigit()):
        raise ArgumentError("expected 1, 2 or ALL")
    elif value and value != str(session.connection_info.protocol):
        # RFC 2428 section 3: a number other than the connection's protocol gets 522, even an unassigned number.
        session.reply(522, f"Network protocol not supported, use ({session.connection_info.protocol}).")
    else:
        _listen(session, 229)


def representation_type(session: ServerSession, argument: str) -> None:
    """Handle TYPE: set the representation type: A N, I, or L 8."""
    data_type = grammar.parse_type(argument)
    if data_type is None:
        session.reply(504, "Type not supported: use A N, I or L 8.")
        return
    session.data_type = data_type
    session.reply(200, f"Type set to {data_type.value}.")


def transmission_mode(session: ServerSession, argument: str) -> None:
    """Handle MODE: accept S (stream) only."""
    _only(session, argument, "S", "SBC", "Mode set to S.")


def structure(session: ServerSession, argument: str) -> None:
    """Handle STRU: accept F (file structure) only."""
    _only(session, argument, "F", "FRP", "Structure set to F.")


def allocate(session: ServerSession, argument: str) -> None:
    """Handle ALLO (`n` or `n R m`): reply 202, since the server need not reserve space."""
    parts = argument.upper().split()
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1] != "R"):
        raise ArgumentError("expected a number of octets, or two numbers separated by R")
    for number in parts[::2]:
        grammar.parse_offset(number)
    session.reply(202, "ALLO is not required.")


def restart(session: ServerSession, argument: str) -> None:
    """Handle REST: set the offset at which the next transfer starts (RFC 3659 section 5)."""
    session.restart_offset = grammar.parse_offset(argument.strip())
    session.reply(350, f"Restarting at {session.restart_offset}.")


def _take_target(session: ServerSession, protocol: int, target: DataAddress) -> None:
    if session.only_extended_passive:
        session.reply(503, _EPSV_ONLY)
    elif protocol != session.connection_info.protocol or target.host != session.connection_info.peer_host:
        # RFC 2577 section 3: an address of another host is refused, against the bounce attack.
        session.log_event("bounce_refused", asked_host=target.host, asked_port=target.port)
        session.reply(504, "The data connection must go to the client's own address.")
    elif target.port < DATA_PORT_MIN:
        session.log_event("bounce_refused", asked_host=target.host, asked_port=target.port)
        session.reply(504, f"The port must be {DATA_PORT_MIN} or higher.")
    else:
        session.forget_data_port()
        session.act(CloseData())
        session.target = target
        session.reply(200, "PORT command successful.")


def _listen(session: ServerSession, code: int) -> None:
    if session.only_extended_passive and code != 229:
        session.reply(503, _EPSV_ONLY)
        return
    session.forget_data_port()
    session.act(CloseData())

    def opened(result: Result) -> None:
        if isinstance(result, Listening):
            session.is_passive = True
            if code == 227:
                session.reply(227, f"Entering Passive Mode ({host_port(result.address, result.port)}).")
            else:
                session.reply(229, f"Entering Extended Passive Mode (|||{result.port}|)")
        elif isinstance(result, Failed):
            session.reply(425, result.detail or "No port is available for passive mode.")

    session.request(OpenPassive(), opened)


def _only(session: ServerSession, argument: str, letter: str, known: str, text: str) -> None:
    value = argument.strip().upper()
    if value == letter:
        session.reply(200, text)
    elif len(value) == 1 and value in known:
        session.reply(504, f"Not supported: use {letter}.")
    else:
        raise ArgumentError(f"expected {', '.join(known)}")
