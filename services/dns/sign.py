"""Zone signer: makes keys, signs a master file, and prints the DS records for the parent zone.

    $ python -m lab7.services.dns.sign --generate example.com -K keys
    Kexample.com.+015+12345
    Kexample.com.+015+54321
    $ python -m lab7.services.dns.sign example.com.zone -K keys
    example.com.zone.signed
    $ python -m lab7.services.dns.sign --ds example.com -K keys
    example.com. IN DS 12345 15 2 3AA5AB37EFCE57F737FC1627013FEE07BDF241BD10F3B1964AB55C78E79A304B

The options are named after the options of BIND's dnssec-signzone and dnssec-keygen, and the key files have the format
of dnssec-keygen. RFC 4035 section 2, RFC 5155 section 7.1, RFC 6781 (operation).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab7.services.dns.codec.errors import TextError
from lab7.services.dns.codec.fields import TIME
from lab7.services.dns.codec.lexer import Token, Tokens
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.flags import domain_name
from lab7.services.dns.security.algorithms import SIGNING, Algorithm, generate_key, require_library
from lab7.services.dns.security.keys import (
    SECURE_ENTRY_POINT,
    ZONE_KEY,
    SigningKey,
    derived_keys,
    file_stem,
    read_keys,
    write_key,
)
from lab7.services.dns.security.signer import Nsec3Policy, SigningPolicy, delegation_records, sign_zone
from lab7.services.dns.zones.loading import load_zone
from lab7.services.dns.zones.zone import Zone
from lab7.services.errors import ServiceError
from lab7.services.flags import integer

EXIT_FAILED = 1
SALT_OCTETS_MAX = 255
ITERATIONS_MAX = 150


def parser() -> argparse.ArgumentParser:
    """Return the argument parser for the command line of this program."""
    flags = argparse.ArgumentParser(prog="python -m lab7.services.dns.sign", description="Sign a zone (DNSSEC).")
    flags.add_argument("zone", nargs="?", metavar="FILE", help="master file of the zone")
    task = flags.add_mutually_exclusive_group()
    task.add_argument("--generate", type=domain_name, metavar="ZONE", help="make the two keys of a zone, and end")
    task.add_argument("--ds", type=domain_name, metavar="ZONE", help="print the DS records of a zone's keys, and end")
    keys = flags.add_mutually_exclusive_group()
    keys.add_argument("-K", dest="keys", default=".", metavar="DIRECTORY", help="directory of the keys (default: .)")
    keys.add_argument("--seed", metavar="TEXT", help="derive the keys from TEXT, for laboratories")
    names = {algorithm.name: algorithm for algorithm in Algorithm if algorithm in SIGNING}
    flags.add_argument(
        "-a",
        dest="algorithm",
        choices=list(names),
        default="ED25519",
        help="algorithm of new keys (default: %(default)s)",
    )
    flags.add_argument(
        "-o", dest="origin", type=domain_name, metavar="ORIGIN", help="origin of the zone (default: owner of its SOA)"
    )
    flags.add_argument(
        "-f", dest="output", metavar="FILE", help="file for the signed zone (default: FILE.signed; - for stdout)"
    )
    flags.add_argument(
        "-s", dest="inception", type=_time, metavar="TIME", help="inception of the signatures (default: an hour ago)"
    )
    flags.add_argument(
        "-e", dest="expiration", type=_time, metavar="TIME", help="expiration of the signatures (default: in 14 days)"
    )
    flags.add_argument("-3", dest="salt", type=_salt, metavar="SALT", help="use NSEC3; salt in hexadecimal, - for none")
    flags.add_argument(
        "-H",
        dest="iterations",
        type=integer(0, ITERATIONS_MAX),
        default=0,
        metavar="N",
        help="NSEC3 iterations (default: 0, as RFC 9276 requires)",
    )
    flags.add_argument(
        "-A", dest="opt_out", action="store_true", help="NSEC3 opt-out: no NSEC3 records for unsigned delegations"
    )
    return flags


def _time(text: str) -> int:
    """Parse a time, YYYYMMDDHHmmSS or a number of seconds since 1970 UTC, into seconds since 1970 UTC."""
    try:
        return TIME.from_tokens(Tokens([Token(text)], ROOT), "the time")
    except TextError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _salt(text: str) -> bytes:
    try:
        salt = b"" if text == "-" else bytes.fromhex(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"invalid salt {text!r}: expected hexadecimal, or -") from error
    if len(salt) > SALT_OCTETS_MAX:
        raise argparse.ArgumentTypeError(f"the salt has {len(salt)} octets, at most {SALT_OCTETS_MAX} are allowed")
    return salt


def _keys(options: argparse.Namespace, zone: Name) -> Sequence[SigningKey]:
    if options.seed is not None:
        return derived_keys(zone, options.seed, Algorithm[options.algorithm])
    return read_keys(Path(options.keys))


def _generate(options: argparse.Namespace) -> None:
    directory = Path(options.keys)
    if not directory.is_dir():
        raise ServiceError(f"{directory} is not a directory: make it, or name another with -K")
    for flags in (ZONE_KEY | SECURE_ENTRY_POINT, ZONE_KEY):
        key = SigningKey.of(options.generate, generate_key(Algorithm[options.algorithm]), flags)
        write_key(directory, key)
        print(file_stem(key.zone, key.dnskey))


def _print_ds(options: argparse.Namespace) -> None:
    records = delegation_records(_keys(options, options.ds)).get(options.ds)
    if not records:
        raise ServiceError(f"no key-signing key of the zone {options.ds}")
    for rdata in records:
        print(f"{options.ds} IN DS {rdata.to_text()}")


def _sign(options: argparse.Namespace) -> None:
    path = Path(options.zone)
    zone = load_zone(path, options.origin, lambda warning: print(f"sign: warning: {warning}", file=sys.stderr))
    if (options.iterations or options.opt_out) and options.salt is None:
        raise ServiceError("-H and -A need NSEC3: use -3")
    nsec3 = None if options.salt is None else Nsec3Policy(options.salt, options.iterations, options.opt_out)
    default = SigningPolicy.at(time.time(), nsec3)
    inception = default.inception if options.inception is None else options.inception
    expiration = default.expiration if options.expiration is None else options.expiration
    if expiration <= inception:
        raise ServiceError("the expiration is not after the inception: change -s or -e")
    keys = _keys(options, zone.origin)
    signed = sign_zone(zone, keys, SigningPolicy(inception, expiration, nsec3), delegation_records(keys))
    output = options.output or f"{options.zone}.signed"
    if output == "-":
        sys.stdout.write(zone_text(signed))
        return
    try:
        Path(output).write_text(zone_text(signed), encoding="latin-1")
    except OSError as error:
        raise ServiceError(f"cannot write {output} ({error.strerror})") from error
    print(output)


def zone_text(zone: Zone) -> str:
    """Return a zone in master-file format, one record per line."""
    return "".join(record.to_text() + "\n" for rrset in zone.rrsets() for record in rrset.records())


def main(argv: list[str] | None = None) -> int:
    """Sign a zone, generate keys or print DS records, as the command line requests; return the exit status."""
    flags = parser()
    options = flags.parse_args(argv)
    if options.generate is None and options.ds is None and options.zone is None:
        flags.error("a master file is needed, or --generate or --ds")
    try:
        require_library()
        if options.generate is not None:
            _generate(options)
        elif options.ds is not None:
            _print_ds(options)
        else:
            _sign(options)
    except ServiceError as error:
        print(f"sign: {error}", file=sys.stderr)
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
