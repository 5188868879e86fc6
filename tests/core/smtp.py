"""A real SMTP server for tests, with a certificate of its own authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.mailbox import Letter, parse
from tests.processes import free_port

USER, SECRET = "relay", "p@ss:w/rd#"
IN_URL = f"{USER}:p%40ss%3Aw%2Frd%23@"


@dataclass
class Inbox:
    """What the server was given, and how it is to answer."""

    letters: list[Letter] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    options: list[list[str]] = field(default_factory=list)
    to_recipient: list[str] = field(default_factory=list)  # answers to RCPT, used up one by one
    to_data: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.to_recipient:
            return self.to_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.to_data:
            return self.to_data.pop(0)
        self.recipients += envelope.rcpt_tos
        self.options.append(envelope.mail_options)
        self.encrypted.append(session.ssl is not None)
        self.letters.append(parse(envelope.content))
        return "250 taken"


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        SECRET.encode(),
    )
    return AuthResult(success=right, handled=False)


@contextmanager
def server(inbox: Inbox, certificate: Path | None = None, **kwargs: Any) -> Iterator[int]:
    """Serve; gives the port. With ``ssl_context`` it is TLS from the first byte."""
    if certificate is not None and "ssl_context" not in kwargs:
        kwargs["tls_context"] = context(certificate)
    controller = Controller(
        inbox, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=kwargs.pop("utf8", True), **kwargs
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def with_login() -> dict[str, Any]:
    """What makes the server insist on our user and password."""
    return {"authenticator": _authenticate, "auth_required": True}


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def make_certificate(folder: Path, *, host: str = "127.0.0.1") -> tuple[Path, Path]:
    """An authority's certificate, and a server's with its key, each in a file."""
    now = dt.datetime.now(dt.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("Test authority", host)]
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    certificates = []
    for number in range(2):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(keys[number].public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False
            )
        )
        if number:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        else:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        certificates.append(builder.sign(keys[0], hashes.SHA256()))
    pem = serialization.Encoding.PEM
    authority, both = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(certificates[0].public_bytes(pem))
    key = keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    both.write_bytes(key + certificates[1].public_bytes(pem))
    return authority, both
