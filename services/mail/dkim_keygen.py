"""Generator of DKIM keys: writes the private key to a file, prints the public key's TXT record (RFC 6376, RFC 8463).

$ python -m lab7.services.mail.dkim_keygen --domain example.org --selector 2026 dkim.pem
2026._domainkey.example.org. IN TXT ( "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A..."
    "..." )
$ python -m lab7.services.mail.mta --dkim-key 2026:example.org:dkim.pem ...
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.mail.authentication.dkim.keys import RSA_BITS, RSA_BITS_MAX, generate, require_cryptography
from lab7.services.mail.authentication.dkim.signature_field import (
    ED25519,
    RSA,
    format_key_record,
    is_domain,
    is_selector,
)

# RFC 1035 section 3.3: a character-string has 255 octets at most.
STRING_OCTETS = 255
EXIT_FAILED = 2
_TYPES = {"rsa": RSA, "ed25519": ED25519}


def _bits(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    # RFC 8301 section 3.2: signers use at least 1,024 bits, and should use 2,048.
    if not 1024 <= number <= RSA_BITS_MAX or number % 8:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bits from 1024 to {RSA_BITS_MAX}")
    return number


def _checked(what: str, text: str, is_valid: bool) -> str:
    if not is_valid:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
    return text.lower()


def parser() -> argparse.ArgumentParser:
    """Return the argparse parser of the program's command line."""
    flags = argparse.ArgumentParser(
        prog="python -m lab7.services.mail.dkim_keygen", description="Write a DKIM key and print its TXT record."
    )
    flags.add_argument(
        "--domain",
        type=lambda text: _checked("domain", text, is_domain(text)),
        required=True,
        metavar="NAME",
        help="signing domain (d=)",
    )
    flags.add_argument(
        "--selector",
        type=lambda text: _checked("selector", text, is_selector(text)),
        required=True,
        metavar="NAME",
        help="selector: name of the key below _domainkey.DOMAIN",
    )
    flags.add_argument("--type", choices=sorted(_TYPES), default="rsa", help="type of the key (default: %(default)s)")
    flags.add_argument("--bits", type=_bits, default=RSA_BITS, metavar="N", help="RSA bits (default: %(default)s)")
    flags.add_argument("file", type=Path, metavar="FILE", help="file for the private key; it must not exist")
    return flags


def txt_record(name: str, text: str) -> str:
    """Return a TXT record in master-file format, with the text split into strings of at most 255 octets."""
    strings = [text[begin : begin + STRING_OCTETS] for begin in range(0, len(text), STRING_OCTETS)]
    return f"{name}. IN TXT ( " + "\n    ".join(f'"{string}"' for string in strings) + " )"


def _write_key(path: Path, pem: bytes) -> None:
    """Write a private key to a file that only its owner can read; raises ServiceError if the file exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    except FileExistsError as error:
        raise ServiceError(f"{path} exists: name another file") from error
    except OSError as error:
        raise ServiceError(f"cannot write {path}: {error.strerror}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Generate a key, write it to the file, and print its TXT record; return the exit status."""
    options = parser().parse_args(argv)
    try:
        require_cryptography()
        key = generate(_TYPES[options.type], options.bits)
        _write_key(options.file, key.pem())
    except ServiceError as error:
        print(f"dkim_keygen: {error}", file=sys.stderr)
        return EXIT_FAILED
    text = format_key_record(options.type, key.public_octets())
    print(txt_record(f"{options.selector}._domainkey.{options.domain}", text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
