"""SASL exchanges: challenges, credentials, and responses that are not well formed."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.sasl import MECHANISMS, AuthorizationError, CancelledError, Credentials, SASLError, exchange


def run(mechanism: str, initial: bytes | None, *responses: bytes) -> tuple[list[bytes], Credentials]:
    """Return the challenges of an exchange, decoded, and its credentials."""
    steps, answers, challenges = exchange(mechanism, initial), iter(responses), []
    try:
        challenge = next(steps)
        while True:
            challenges.append(base64.b64decode(challenge))
            challenge = steps.send(next(answers))
    except StopIteration as done:
        credentials: Credentials = done.value
    return challenges, credentials


def encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


@pytest.mark.parametrize("identity", ["", "alice"])
def test_plain_is_one_response(identity: str) -> None:
    response = encoded(f"{identity}\0alice\0secret")
    assert run("PLAIN", response) == ([], Credentials("alice", "secret"))
    assert run("PLAIN", None, response) == ([b""], Credentials("alice", "secret"))


def test_login_requests_user_and_password() -> None:
    user, password = encoded("alice"), encoded("secret")
    assert run("LOGIN", None, user, password) == ([b"Username:", b"Password:"], Credentials("alice", "secret"))
    assert run("LOGIN", user, password) == ([b"Password:"], Credentials("alice", "secret"))


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"*", CancelledError),
        (b"no base64!", SASLError),
        (b"=", SASLError),
        (encoded("alice"), SASLError),
        (encoded("\0\0secret"), SASLError),
        (base64.b64encode(b"\0alice\0\xff"), SASLError),
        (encoded("bob\0alice\0secret"), AuthorizationError),
    ],
)
def test_an_invalid_response_is_an_error(response: bytes, error: type[SASLError]) -> None:
    with pytest.raises(error):
        run("PLAIN", response)


@given(
    mechanism=st.sampled_from(MECHANISMS), responses=st.lists(st.binary(), min_size=2, max_size=2), raw=st.booleans()
)
def test_any_octets_give_credentials_or_an_error(mechanism: str, responses: list[bytes], raw: bool) -> None:
    first, second = responses if raw else map(base64.b64encode, responses)
    try:
        _, credentials = run(mechanism, None, first, second)
    except SASLError:
        return
    assert credentials.password.encode() in b"\0".join(map(base64.b64decode, (first, second)))
