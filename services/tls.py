"""TLS contexts for clients and servers, with ALPN for HTTP/1.1 and HTTP/2 (RFC 9113 sections 3.2 and 9.2, RFC 7301).

TLS 1.2 is the minimum, restricted to the cipher suites that RFC 9113 section 9.2.2 permits: ephemeral keys and AEAD.
Compression and renegotiation are off. Both contexts log their secrets to the file that SSLKEYLOGFILE names, as browsers
do, so that a capture can be decrypted. Left out: client certificates, and OCSP.
"""

import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lab7.services.errors import ServiceError

HTTP_1 = "http/1.1"
HTTP_2 = "h2"
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
_SELF_SIGNED_DAYS = 30
_OPENSSL_S = 30.0


@dataclass(frozen=True, slots=True)
class Trust:
    """Trust anchors of a TLS client: those of the system, or those in the file `authorities`.

    `blind`: verify nothing.
    """

    authorities: str | None = None
    blind: bool = False


def _restrict(context: ssl.SSLContext, protocols: Sequence[str]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(list(protocols))
    return context


@lru_cache(maxsize=16)
def client_context(trust: Trust, protocol: str) -> ssl.SSLContext:
    """Return a client's TLS context that offers `protocol` by ALPN.

    Raises OSError if the CA certificates cannot be read.
    """
    context = ssl.create_default_context(cafile=trust.authorities)
    if trust.blind:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return _restrict(context, (protocol,))


def server_context(certificate: str, key: str, protocols: Sequence[str] = (HTTP_2, HTTP_1)) -> ssl.SSLContext:
    """Return a server's TLS context that selects one of `protocols` by ALPN, in the server's order of preference.

    Raises ServiceError if certificate or key cannot be loaded.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        detail = error.strerror or str(error)
        raise ServiceError(f"cannot load {certificate} and {key} ({detail}): name others with --tls") from error
    return _restrict(context, protocols)


def self_signed_context(names: Sequence[str], protocols: Sequence[str] = (HTTP_2, HTTP_1)) -> ssl.SSLContext:
    """Return a server's TLS context with a new self-signed certificate for `names`.

    Raises ServiceError if openssl(1), which makes the certificate, fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = str(Path(folder) / "certificate.pem"), str(Path(folder) / "key.pem")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", str(_SELF_SIGNED_DAYS), "-subj", f"/CN={names[0]}", "-keyout", key, "-out", certificate]
        command += ["-addext", "subjectAltName=" + ",".join(map(_alternative_name, names))]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_OPENSSL_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise ServiceError(
                "openssl failed to make a certificate: install it, or name a certificate and key"
            ) from error
        return server_context(certificate, key, protocols)


def _alternative_name(name: str) -> str:
    is_address = ":" in name or name.replace(".", "").isdigit()
    return f"IP:{name}" if is_address else f"DNS:{name}"
