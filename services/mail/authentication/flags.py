"""Command-line flags of the MTA for mail authentication: SPF, DKIM, DMARC and MTA-STS."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.mail.authentication.dkim.keys import load_private_key, require_cryptography
from lab7.services.mail.authentication.dkim.signature_field import is_domain, is_selector
from lab7.services.mail.authentication.dkim.signer import SigningKey
from lab7.services.mail.authentication.inbound import Checks, Mode

_MODES = (Mode.CHECK.value, Mode.ENFORCE.value)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Value of --dkim-key: selector, domain, and file of the private key."""

    selector: str
    domain: str
    path: Path


def key_file(text: str) -> KeyFile:
    """Parse SELECTOR:DOMAIN:FILE; raises ArgumentTypeError."""
    selector, _, rest = text.partition(":")
    domain, _, path = rest.partition(":")
    if not is_selector(selector) or not is_domain(domain) or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form SELECTOR:DOMAIN:FILE")
    return KeyFile(selector.lower(), domain.lower(), Path(path))


def add_authentication_flags(flags: argparse.ArgumentParser) -> None:
    """Add the flags of SPF, DKIM, DMARC and MTA-STS; without flags, nothing is checked and nothing is signed."""
    flags.add_argument(
        "--spf",
        choices=_MODES,
        help="check the SPF record of senders; enforce: reject mail for which it fails with 550 5.7.23",
    )
    flags.add_argument("--dkim", action="store_true", help="verify DKIM signatures of received mail")
    flags.add_argument(
        "--dmarc",
        choices=_MODES,
        help="check SPF, DKIM and the DMARC policy of senders; enforce: reject (550 5.7.1) or deliver into the folder "
        "Junk as the policy asks. Clients of --relay-from and authenticated users are not checked",
    )
    flags.add_argument(
        "--authserv-id", metavar="NAME", help="name in Authentication-Results fields (default: --hostname)"
    )
    flags.add_argument(
        "--dkim-key",
        type=key_file,
        action="append",
        default=[],
        metavar="SELECTOR:DOMAIN:FILE",
        help="sign mail of the domain's users with a key of python -m lab7.services.mail.dkim_keygen (repeatable)",
    )
    flags.add_argument(
        "--mta-sts",
        action="store_true",
        help="obey the MTA-STS policies of domains: verified TLS or no delivery",
    )
    flags.add_argument(
        "--authorities",
        metavar="FILE",
        help="CA certificates for MTA-STS: of policy hosts and mail servers (default: the system's)",
    )


def checks_of(options: argparse.Namespace) -> Checks:
    """Return the enabled checks (SPF, DKIM, DMARC) of received mail.

    Raises ServiceError if a check needs the package cryptography, and it is not installed.
    """
    checks = Checks(Mode(options.spf or "off"), options.dkim, Mode(options.dmarc or "off"))
    if checks.dkim or checks.dmarc is not Mode.OFF:
        require_cryptography()
    return checks


def load_keys(files: list[KeyFile]) -> list[SigningKey]:
    """Load the private keys of --dkim-key; raises ServiceError for an unreadable or unsuitable key."""
    if files:
        require_cryptography()
    keys = []
    for file in files:
        try:
            key = load_private_key(file.path.read_bytes())
        except OSError as error:
            raise ServiceError(f"cannot read the DKIM key {file.path}: {error.strerror}") from error
        except ValueError as error:
            raise ServiceError(f"cannot use the DKIM key {file.path}: {error}") from error
        keys.append(SigningKey(file.selector, file.domain, key))
    return keys
