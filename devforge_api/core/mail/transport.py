"""How letters leave: by SMTP, or into a folder where there is no mail server.

A whole SMTP exchange ends within ``MAIL_SECONDS``, whatever the server does: the claim on the
letter (``OUTBOX_LEASE``) must not run out meanwhile.
"""

from __future__ import annotations

import os
import re
import smtplib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from flask import current_app

from devforge_api.core.cord import Cord
from devforge_api.core.outbox import Undeliverable

CONNECT_SECONDS = 5.0
CHECK_SECONDS = 4.0  # the doctor waits little longer
# After a server was not to be reached: for so long the letters behind do not try either, so that
# other events do not wait for as many timeouts as there are letters.
PAUSE_SECONDS = 10.0
Result = TypeVar("Result")
_STATUS = re.compile(r"(?<![0-9.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")


class NotNow(Exception):
    """The letter could not be handed over this time; the message says why, without any secret."""


class NoSuchRecipient(Undeliverable):
    """The address does not exist, its server says, and will not; the message is what it said."""


class Transport(Protocol):
    """One way out."""

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand a letter over.

        :raises NoSuchRecipient: there is no such address.
        :raises Undeliverable: refused for good. :raises NotNow: try again later.
        """

    def check(self) -> str:
        """Look whether letters could be sent, and say what was seen.

        :raises NotNow: they could not.
        """


def transport() -> Transport:
    """The way out that the settings name; kept with the application."""
    found: Transport | None = current_app.extensions.get("devforge-mail")
    if found is None:
        config = current_app.config
        if config["MAIL_URL"]:
            host = urlsplit(config["PUBLIC_URL"]).hostname or "localhost"
            found = Server.at(config["MAIL_URL"], ourselves=_greeting(host), seconds=config["MAIL_SECONDS"])
        else:
            found = Folder(config["DATA_DIR"] / "mail")
        current_app.extensions["devforge-mail"] = found
    return found


def _greeting(host: str) -> str:
    """How we call ourselves; an address stands in brackets (RFC 5321 section 4.1.3)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"


@dataclass(frozen=True, slots=True)
class Folder:
    """One ``.eml`` file for each letter, readable by its owner alone."""

    path: Path

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Write the file; a letter that is sent again replaces its own."""
        name = message["Message-ID"].strip("<>").partition("@")[0]
        draft = self.path / f".{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(message.as_bytes(policy=SMTPUTF8))
            draft.replace(self.path / f"{name}.eml")
        except OSError as error:
            raise NotNow(f"{self.path} cannot be written: {error.strerror}") from error

    def check(self) -> str:
        """The folder can be written, once it is there; the data folder is looked at by others."""
        try:
            if self.path.exists():
                with tempfile.TemporaryFile(dir=self.path):
                    pass
        except OSError as error:
            raise NotNow(f"{self.path} cannot be written: {error.strerror}") from error
        return f"letters are written to {self.path}, and sent to nobody"


class Server:
    """A mail server: TLS from the beginning, STARTTLS insisted on, or plain on a trusted network."""

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        login: tuple[str, str] | None,
        *,
        ourselves: str,
        seconds: float,
    ) -> None:
        self.scheme, self.host, self.port, self.login = scheme, host, port, login
        self.ourselves, self.seconds = ourselves, seconds
        self._pause_until = 0.0

    @classmethod
    def at(cls, url: str, *, ourselves: str, seconds: float) -> Server:
        """The server at an address that the settings have checked."""
        parts = urlsplit(url)
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        port = parts.port or {"smtps": 465, "smtp": 587}.get(parts.scheme, 25)
        return cls(parts.scheme, parts.hostname or "", port, login, ourselves=ourselves, seconds=seconds)

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand a letter over; SMTPUTF8 (RFC 6531) is asked for where the address needs it."""
        wide = not recipient.isascii()
        body = message.as_bytes(policy=SMTPUTF8 if wide else SMTP)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if wide else []
        if time.monotonic() < self._pause_until:
            raise NotNow(f"{self.host} was not to be reached a moment ago")
        try:
            self._bounded(
                lambda line: line.sendmail(sender, [recipient], body, mail_options=options), self.seconds
            )
        except NotNow:
            self._pause_until = time.monotonic() + PAUSE_SECONDS
            raise
        except smtplib.SMTPException as error:
            told = _told(error).replace(recipient, "(the recipient)")
            raise _kind_of(error)(told) from None

    def check(self) -> str:
        """Connect, greet and sign in, but send nothing."""
        begun = time.monotonic()
        try:
            self._bounded(lambda line: line.noop(), CHECK_SECONDS)
        except smtplib.SMTPException as error:
            raise NotNow(_told(error)) from None
        how = {"smtps": "by TLS", "smtp": "by STARTTLS"}.get(self.scheme, "without encryption")
        signed_in = " and takes the login" if self.login else ""
        return f"{self.host}:{self.port} answers {how}{signed_in} in {time.monotonic() - begun:.1f} s"

    def _bounded(self, work: Callable[[smtplib.SMTP], Result], seconds: float) -> Result:
        """Do something with a connection, and break it off when the time is over.

        On a thread of its own: neither the resolver nor a server that sends a byte now and then
        keeps to any timeout.

        :raises NotNow: no connection, no encryption, or no end.
        :raises smtplib.SMTPException: the server's refusal, the login's among them as `NotNow`.
        """
        cord = Cord()
        future: Future[Result] = Future()

        def run() -> None:
            try:
                with self._connection(cord) as line:
                    future.set_result(work(line))
            except Exception as error:  # noqa: BLE001 - handed over to who waits
                if not future.done():
                    future.set_exception(error)

        threading.Thread(target=run, name="devforge-mail", daemon=True).start()
        try:
            return future.result(seconds)
        except TimeoutError:
            cord.pull()
            raise NotNow(f"{self.host}:{self.port} does not answer in time") from None
        except smtplib.SMTPServerDisconnected as error:
            raise NotNow(f"{self.host}:{self.port} broke off: {error}") from None
        except OSError as error:
            if isinstance(error, smtplib.SMTPException):
                raise
            raise NotNow(f"{self.host}:{self.port}: {error.strerror or error}") from None

    @contextmanager
    def _connection(self, cord: Cord) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        if self.scheme == "smtps":
            line: smtplib.SMTP = _TlsLine(self.ourselves, cord, context)
        else:
            line = _Line(self.ourselves, cord)
        try:
            line.timeout = CONNECT_SECONDS
            code, words = line.connect(self.host, self.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, words)
            if line.sock is not None:
                line.sock.settimeout(self.seconds)
            if self.scheme == "smtp":
                line.starttls(context=context)
            if self.login:
                line.login(*self.login)
            yield line
            with suppress(smtplib.SMTPException, OSError):
                line.quit()
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPConnectError) as error:
            raise NotNow(_told(error)) from None
        except smtplib.SMTPNotSupportedError as error:
            if self.scheme == "smtp" and "STARTTLS" in str(error):
                raise NotNow(f"{self.host}:{self.port} does not offer STARTTLS") from None
            raise
        finally:
            line.close()
            cord.release()


class _Line(smtplib.SMTP):
    """A connection that can be broken off."""

    def __init__(self, ourselves: str, cord: Cord) -> None:
        self._cord = cord
        super().__init__(local_hostname=ourselves)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = socket.create_connection((host, port), timeout)
        self._cord.tie(connected)
        self._host = host  # STARTTLS checks the certificate against it
        return connected


class _TlsLine(_Line):
    """The same, encrypted from the first byte."""

    def __init__(self, ourselves: str, cord: Cord, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(ourselves, cord)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = super()._get_socket(host, port, timeout)
        return self._context.wrap_socket(connected, server_hostname=host)


def _kind_of(error: smtplib.SMTPException) -> type[Exception]:
    if not _is_final(error):
        return NotNow
    unknown = _STATUS.search(_told(error))
    return NoSuchRecipient if unknown and is_unknown(unknown[0]) else Undeliverable


def is_unknown(status: str) -> bool:
    """Whether an enhanced status code (RFC 3463) says for good that there is no such address.

    Codes of policy (5.7) are about us, those of mailboxes and networks (5.2 to 5.5) may pass.
    """
    return status in {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}


def _is_final(error: smtplib.SMTPException) -> bool:
    """Whether the letter itself is refused for good (RFC 5321 section 4.2.1), and not the sender."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return isinstance(error, smtplib.SMTPNotSupportedError)  # it cannot write such an address


def _told(error: smtplib.SMTPException) -> str:
    """The server's own words."""
    words: Any
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
    else:
        return str(error)
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return f"{type(error).__name__}: {code} {' '.join(text.split())}"
