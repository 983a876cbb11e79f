"""Access control commands USER, PASS, ACCT, REIN and QUIT (RFC 959 section 4.1.1).

U: USER ann       S: 331
U: PASS secret    S: 230, or 332 if an account is required as well, or 530
"""

from lab7.services.ftp.limits import LOGIN_ATTEMPTS
from lab7.services.ftp.server_pi.actions import Admitted, Authenticate, Credential, Pause, Result
from lab7.services.ftp.server_pi.session import ServerSession, State


def user(session: ServerSession, argument: str) -> None:
    """Handle USER: start a login, even if a user is logged in already; the transfer parameters stay unchanged."""
    parameters = (session.data_type, session.only_extended_passive)
    session.log_out()
    session.data_type, session.only_extended_passive = parameters
    session.user = argument

    def checked(result: Result) -> None:
        if isinstance(result, Admitted) and result.next_credential is not Credential.PASSWORD:
            _admit(session, result)
        else:
            # RFC 2577 section 6: reply 331 to any name, so as not to disclose which users exist.
            session.state = State.PASSWORD
            session.reply(331, "Please specify the password.")

    session.request(Authenticate(argument, Credential.NAME), checked)


def password(session: ServerSession, argument: str) -> None:
    """Handle PASS: check the password of the user that USER named."""
    name = session.user
    session.request(Authenticate(name, Credential.PASSWORD, argument), lambda result: _checked(session, result))


def account(session: ServerSession, argument: str) -> None:
    """Handle ACCT: check the account if one is required, at login (332) or before storing (532); else reply 202."""
    if session.state is not State.ACCOUNT and not session.account_to_store:
        session.reply(202, "ACCT is not required.")
        return
    session.request(Authenticate(session.user, Credential.ACCOUNT, argument), lambda result: _checked(session, result))


def reinitialise(session: ServerSession, _: str) -> None:
    """Handle REIN: log out and reset the session to its state after the greeting, once any transfer has ended."""
    session.log_out()
    session.reply(220, "Session reset; log in with USER.")


def quit_session(session: ServerSession, _: str) -> None:
    """Handle QUIT: close the control connection, once a transfer in progress has ended."""
    session.close(221, "Goodbye.")


def _checked(session: ServerSession, result: Result) -> None:
    if isinstance(result, Admitted):
        _admit(session, result)
        return
    session.log_event("login_refused", user=session.user)
    session.attempts += 1
    session.request(Pause(), lambda _: _refuse(session))


def _admit(session: ServerSession, admitted: Admitted) -> None:
    session.account_to_store = admitted.account_to_store
    if admitted.next_credential is Credential.ACCOUNT:
        session.state = State.ACCOUNT
        session.reply(332, "Please specify the account with ACCT.")
        return
    session.state = State.READY
    session.attempts = 0
    session.log_event("login", user=session.user)
    session.reply(230, "Login successful.")


def _refuse(session: ServerSession) -> None:
    if session.attempts >= LOGIN_ATTEMPTS:
        session.close(421, "Too many failed logins.")
        return
    # After a complete login a wrong ACCT changes nothing; before that, the client has to start again with USER.
    if not session.is_logged_in:
        session.forget_user()
    session.reply(530, "Login incorrect.")
