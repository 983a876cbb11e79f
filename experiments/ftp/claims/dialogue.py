"""Verdicts on claims F4 and F5 of the course: FTP reply codes have real causes, and the server keeps session state.

Both claims are decided from control connections captured at the client. For F5, replies before and after CWD, USER and
PASS are compared. For F4, a reply code alone is no proof: a server could send 452 at any time. Each of four codes is
therefore compared with its cause, as far as packets show the cause:

    331  the reply to USER; a command that needs a login is refused before PASS, and executed after PASS; after a wrong
         password, which is refused, such a command is still refused
    125  the data connection was established before the command that uses it; otherwise the same server replies 150
    425  the data connection was not established: the server's SYN was answered by RST, or not at all
    452  a file is refused; after another file is deleted, the same octets are accepted: the disk was full

Source: RFC 959 sections 4.2 and 5.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from lab7.experiments.ftp.wire.sessions import DONE, FtpExchange, FtpSession, FtpTraffic, Transfer, named_port
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decide, decides, undecided

CODES = (331, 125, 425, 452)
LOGGED_IN, NOT_LOGGED_IN, NO_FILE = 230, 530, 550
# Commands that need a login, which a server may refuse by 530 before the login (RFC 959 section 5.4).
NEED_LOGIN = ("PWD", "CWD", "CDUP", "RETR", "STOR", "LIST", "NLST", "DELE", "PORT", "PASV")
DIRECTORY = 257
QUOTED = re.compile(rb'[^"]*"((?:[^"]|"")*)"')


@decides("F4")
def decide_reply_codes(
    claim: str, scenarios: Mapping[int, FtpTraffic], uploads: Mapping[str, bytes] | None = None
) -> Verdict:
    """Decide claim F4: the server sends reply codes 331, 125, 425 and 452 for the causes that RFC 959 specifies.

    `scenarios` maps each code to captured sessions in which it must occur; `uploads` are the contents of uploaded files
    by name.
    """
    missing = [code for code in CODES if code not in scenarios]
    if missing:
        return undecided(claim, f"There is no scenario for {', '.join(map(str, missing))}.")

    def check() -> Finding:
        no_room = partial(_no_room, uploads or {})
        checks: dict[int, Callable[[FtpTraffic], Finding]] = {
            331: _asks_for_password,
            125: _open_already,
            425: _cannot_open,
            452: no_room,
        }
        found = [checks[code](scenarios[code]) for code in CODES]
        return " ".join(evidence for evidence, _ in found), [frame for _, frames in found for frame in frames]

    return decide(claim, [scenarios[code] for code in CODES if code in scenarios], check)


@decides("F5")
def decide_session_state(claim: str, traffic: FtpTraffic, files: Mapping[str, bytes] | None = None) -> Verdict:
    """Decide claim F5: the reply to a command depends on earlier CWD, USER and PASS in the same session.

    PWD must return another directory after CWD, the same one after a refused CWD, and the first one after CDUP. A later
    session, on its own connection, must start from the initial state. `files` has the correct contents by name.
    """
    if len(traffic.sessions) < 2:
        return undecided(claim, "Two sessions are needed to see that the second one starts from the initial state.")

    def check() -> Finding:
        first, second = traffic.sessions[:2]
        refused, done = _login(first)
        before, after, moved = _relative(first)
        _is_file(_transfer_of(first, after), files or {})
        _directories(first, moved)
        again = _begins_anew(second, after)
        _starts_where(first, second)
        assert refused.final is not None
        frames = [refused.command.frame, done.command.frame, before.command.frame, moved.command.frame]
        frames += [after.command.frame, again.command.frame]
        return (
            f"On one connection, before the login {refused.described}, and after it {done.described}; then "
            f"{before.described}, {moved.described}, and {after.described}. On the next connection "
            f"{again.described}."
        ), frames

    return decide(claim, [traffic], check)


def _need(found: FtpExchange | None, session: FtpSession, what: str) -> FtpExchange:
    if found is None:
        frame = session.connection.syn.frame
        raise Contradiction(f"The session of frame {frame} {what}.", frame)
    return found


def _first(session: FtpSession, code: int, *verbs: str) -> FtpExchange | None:
    return next((exchange for exchange in session.exchanges_of(*verbs) if exchange.code == code), None)


def _login(session: FtpSession) -> tuple[FtpExchange, FtpExchange]:
    """Check that a command is refused (530) before login and executed after it. Raises Contradiction otherwise.

    Returns both exchanges, each the command with its replies.
    """
    inside = _need(_first(session, LOGGED_IN, "PASS", "USER"), session, "has no successful login")
    place = session.exchanges.index(inside)
    early = [exchange for exchange in session.exchanges[:place] if exchange.command.verb in NEED_LOGIN]
    for exchange in early:
        if exchange.code != NOT_LOGGED_IN:
            raise Contradiction(
                f"{exchange.described} in frame {exchange.command.frame}, before the login, not {NOT_LOGGED_IN}.",
                exchange.command.frame,
                inside.command.frame,
            )
    later = (
        exchange
        for exchange in session.exchanges[place:]
        if early and exchange.command.octets == early[0].command.octets
    )
    done = next((exchange for exchange in later if 200 <= exchange.code < 400), None)
    refused = _need(early[0] if early else None, session, "has no command before the login")
    return refused, _need(done, session, f"does not execute {refused.command.text!r} after the login")


def _relative(session: FtpSession) -> tuple[FtpExchange, FtpExchange, FtpExchange]:
    """Check that RETR of a file fails before CWD, and succeeds after it. Raises Contradiction otherwise.

    Returns the refused RETR, the successful RETR and the CWD command, each with its replies.
    """
    retrievals = session.exchanges_of("RETR")
    for before in retrievals:
        for after in retrievals[retrievals.index(before) + 1 :]:
            if before.command.argument != after.command.argument or before.code != NO_FILE or after.code not in DONE:
                continue
            low, high = session.exchanges.index(before), session.exchanges.index(after)
            between = session.exchanges[low:high]
            moved = next((one for one in between if one.command.verb == "CWD" and one.code < 300), None)
            if moved is not None:
                return before, after, moved
    frame = session.connection.syn.frame
    raise Contradiction(f"In the session of frame {frame} no RETR fails before CWD and succeeds after it.", frame)


def _is_file(transfer: Transfer, files: Mapping[str, bytes]) -> None:
    """Raise Contradiction unless the data of a transfer equal the correct content of its file."""
    expected, got = files.get(transfer.base_name), transfer.stream.data
    if expected is not None and got != expected:
        frame = transfer.exchange.command.frame
        raise Contradiction(
            f"{transfer.exchange.command.text!r} in frame {frame} returns {len(got)} octets, which are not the file's.",
            frame,
        )


def _directories(session: FtpSession, moved: FtpExchange) -> None:
    """Raise Contradiction unless the reply to PWD changes after CWD and CDUP, but not after a refused CWD."""
    seen: list[tuple[FtpExchange, bytes]] = []
    place = session.exchanges.index(moved)
    home: bytes | None = None
    for at, one in enumerate(session.exchanges):
        if one.command.verb != "PWD" or one.code != DIRECTORY:
            continue
        directory = _directory(one)
        last = seen[-1][0] if seen else None
        since = session.exchanges[session.exchanges.index(last) + 1 : at] if last is not None else ()
        changes = [each for each in since if each.command.verb in ("CWD", "CDUP")]
        if last is not None and (directory != seen[-1][1]) != any(0 < change.code < 300 for change in changes):
            what = ", ".join(change.text for change in changes) or "nothing"
            raise Contradiction(
                f"PWD in frame {one.command.frame} reports {directory.decode(errors='replace')!r} after "
                f"{what}, but {seen[-1][1].decode(errors='replace')!r} before.",
                one.command.frame,
            )
        if at < place:
            home = directory
        elif any(change.command.verb == "CDUP" and 0 < change.code < 300 for change in changes) and directory != home:
            raise Contradiction(
                f"CDUP before frame {one.command.frame} does not return to the first directory.", one.command.frame
            )
        seen.append((one, directory))
    if len({directory for _, directory in seen}) < 2:
        frame = moved.command.frame
        raise Contradiction(
            f"No PWD confirms that {moved.command.text!r} in frame {frame} changed the directory.", frame
        )


def _starts_where(first: FtpSession, second: FtpSession) -> None:
    """Raise Contradiction if the first PWD of the second session returns another directory than in the first."""
    start, later = (_first(one, DIRECTORY, "PWD") for one in (first, second))
    if start is not None and later is not None and _directory(start) != _directory(later):
        frame = later.command.frame
        raise Contradiction(f"The initial directory of a new connection differs: PWD in frame {frame}.", frame)


def _directory(exchange: FtpExchange) -> bytes:
    """Return the quoted directory in a 257 reply (RFC 959 appendix II). Raises Contradiction if there is none."""
    assert exchange.final is not None
    found = QUOTED.match(exchange.final.message)
    if found is None:
        frame = exchange.final.frame
        raise Contradiction(f"The reply {exchange.final.text!r} in frame {frame} contains no directory.", frame)
    return found[1].replace(b'""', b'"')


def _begins_anew(session: FtpSession, known: FtpExchange) -> FtpExchange:
    """Return the RETR, with its replies, that repeats the argument of an earlier RETR in a new session without its CWD.

    `known`: the earlier RETR. Raises Contradiction unless the server refuses the repeated RETR.
    """
    again = next(
        (exchange for exchange in session.exchanges_of("RETR") if exchange.command.argument == known.command.argument),
        None,
    )
    asked = _need(again, session, f"does not repeat {known.command.text!r}")
    if asked.code not in (NO_FILE, NOT_LOGGED_IN):
        raise Contradiction(
            f"A new connection does not start from the initial directory: {asked.described}.", asked.command.frame
        )
    return asked


def _session_with(traffic: FtpTraffic, code: int) -> tuple[FtpSession, FtpExchange]:
    for session in traffic.sessions:
        for exchange in session.exchanges:
            if code in exchange.codes:
                return session, exchange
    frame = traffic.sessions[0].connection.syn.frame
    said = [str(reply.code) for session in traffic.sessions for reply in session.replies]
    raise Contradiction(f"The scenario for {code} has only the replies {' '.join(said)}.", frame)


def _transfer_of(session: FtpSession, exchange: FtpExchange) -> Transfer:
    found = next((transfer for transfer in session.transfers if transfer.exchange is exchange), None)
    if found is None:
        frame = exchange.command.frame
        raise Contradiction(f"{exchange.described} in frame {frame}, without a transfer.", frame)
    return found


def _asks_for_password(traffic: FtpTraffic) -> Finding:
    session, asked = _session_with(traffic, 331)
    if asked.command.verb != "USER":
        raise Contradiction(f"331 answers {asked.command.text!r}.", asked.command.frame)
    place = session.exchanges.index(asked)
    refused, done = _login(session)
    password = _need(_first(session, LOGGED_IN, "PASS"), session, "has no accepted PASS")
    if session.exchanges.index(password) < place or session.exchanges.index(refused) < place:
        frame = refused.command.frame
        raise Contradiction("No command is sent between USER and PASS, so that USER alone may have logged in.", frame)
    wrong = _wrong_password(traffic, password)
    frames = [
        asked.command.frame,
        refused.command.frame,
        password.command.frame,
        done.command.frame,
        wrong.command.frame,
    ]
    return (
        f"331: {asked.described}; then {refused.described}, and only after PASS {done.described} (frames "
        f"{frames[0]} to {frames[3]}); a wrong password gets {wrong.code} (frame {frames[4]})."
    ), frames


def _wrong_password(traffic: FtpTraffic, right: FtpExchange) -> FtpExchange:
    """Return a PASS command with a wrong password, with its replies.

    Raises Contradiction unless the server refuses this command, and later commands that need a login.
    """
    for session in traffic.sessions:
        for place, one in enumerate(session.exchanges):
            if one.command.verb != "PASS" or one.command.argument == right.command.argument:
                continue
            if one.code != NOT_LOGGED_IN:
                frame = one.command.frame
                raise Contradiction(
                    f"A wrong password in frame {frame} gets {one.code or 'no reply'}, not {NOT_LOGGED_IN}.", frame
                )
            for later in session.exchanges[place + 1 :]:
                if later.command.verb in ("USER", "PASS"):
                    break
                if later.command.verb in NEED_LOGIN and later.code < 400:
                    frame = later.command.frame
                    raise Contradiction(f"{later.described} in frame {frame}, after a wrong password.", frame)
            return one
    raise Contradiction("The capture has no attempt with a wrong password.", right.command.frame)


def _open_already(traffic: FtpTraffic) -> Finding:
    session, exchange = _session_with(traffic, 125)
    transfer = _transfer_of(session, exchange)
    stood = _stood_before(transfer)
    if stood is None:
        frame = exchange.command.frame
        raise Contradiction(f"The command in frame {frame} gets 125, but its data connection was not open.", frame)
    # Require 150 for a transfer without an open data connection, since a server might always send 125.
    waited = (one for one in session.transfers if 150 in one.exchange.codes and _stood_before(one) is None)
    other = next(waited, None)
    if other is None:
        frame = exchange.command.frame
        raise Contradiction("No transfer without an open data connection gets 150.", frame)
    later = other.exchange.command.frame
    frames = [stood, exchange.command.frame, exchange.preliminary[0].frame, later]
    return (
        f"125: the data connection was open in frame {stood}, before {exchange.command.text!r} in frame "
        f"{frames[1]}; without an open connection (frame {later}) the server replies 150."
    ), frames


def _stood_before(transfer: Transfer) -> int | None:
    """Return the frame number of the ACK that established a data connection before the transfer command, else None."""
    made = transfer.connection
    if made is None or not made.established or made.from_client.first_ack is None:
        return None
    frame = made.from_client.first_ack.frame
    return frame if frame < transfer.exchange.command.frame else None


def _cannot_open(traffic: FtpTraffic) -> Finding:
    session, exchange = _session_with(traffic, 425)
    command = exchange.command
    place = named_port(command)
    if place is not None:
        # A server may connect as soon as PORT arrives, and reply to PORT by 425.
        made = next(
            (
                connection
                for connection in traffic.others
                if connection.server == place and connection.syn.frame > command.frame
            ),
            None,
        )
    else:
        transfer = _transfer_of(session, exchange)
        made = transfer.connection
    if made is None:
        raise Contradiction(
            f"The command in frame {command.frame} gets 425 without an attempt to open a data connection.",
            command.frame,
        )
    if made.established:
        raise Contradiction(
            f"The server replies 425, but the data connection of frame {made.syn.frame} was established.",
            made.syn.frame,
        )
    reset = made.from_server.reset
    assert exchange.final is not None
    what = f"is reset in frame {reset.frame}" if reset is not None else "gets no answer"
    frames = [made.syn.frame, *([reset.frame] if reset is not None else []), exchange.final.frame]
    return f"425: the SYN to {made.server} in frame {made.syn.frame} {what}.", frames


def _no_room(uploads: Mapping[str, bytes], traffic: FtpTraffic) -> Finding:
    session, exchange = _session_with(traffic, 452)
    refused = _transfer_of(session, exchange)
    place = session.exchanges.index(exchange)
    freed = next((one for one in session.exchanges[place:] if one.command.verb == "DELE" and one.code in DONE), None)
    room = _need(freed, session, "has no successful DELE after reply 452")
    behind = session.exchanges.index(room)
    taken = next(
        (
            one
            for one in session.transfers
            if one.verb == refused.verb
            and one.name == refused.name
            and one.done
            and session.exchanges.index(one.exchange) > behind
        ),
        None,
    )
    if taken is None:
        raise Contradiction(
            f"{exchange.described}, and the upload is not accepted after space was freed either.",
            exchange.command.frame,
        )
    # A server with a full disk may stop reading, so the refused data may be a prefix of the file.
    sent, whole = refused.stream.data, taken.stream.data
    for one in (transfer for transfer in session.transfers if transfer.done and transfer.verb == refused.verb):
        expected, frame = uploads.get(one.base_name), one.exchange.command.frame
        if expected is not None and one.stream.data != expected:
            crossed = f"the data connection carried {len(one.stream.data)} of {len(expected)} octets"
            raise Contradiction(f"{one.exchange.described} in frame {frame}, but {crossed}.", frame)
    if not whole.startswith(sent):
        raise Contradiction("The accepted upload differs from the refused one.", taken.exchange.command.frame)
    frames = [exchange.command.frame, room.command.frame, taken.exchange.command.frame]
    return (
        f"452: {exchange.described} in frame {frames[0]}, then {room.described}, and then the same upload of "
        f"{len(whole)} octets is accepted (frame {frames[2]})."
    ), frames
