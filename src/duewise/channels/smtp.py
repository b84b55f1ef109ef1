"""Email by SMTP (RFC 5321): one text in UTF-8 to one address, over a few connections kept open.

Until the text has been handed over nothing has left, and every refusal is certain; from then on
only the server's last answer says what became of it. What comes back is read by `mailbox`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from functools import partial
from typing import Final, Literal

from aiosmtplib import SMTP as Connection  # noqa: N811 - the policy has the same name
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
)

from duewise.channels.base import (
    EXPIRED,
    Accepted,
    Arrivals,
    Capabilities,
    Message,
    Refused,
    SendResult,
    Unknown,
    nobody,
    normalise_provider_id,
)
from duewise.channels.heard import Call, Denied, Heard, hook_secret, stored
from duewise.channels.mailbox import Mailbox
from duewise.channels.table import capabilities, refusal, table
from duewise.errors import BadInput
from duewise.times import Clock

Security = Literal["tls", "starttls", "none"]
NEVER_LEFT: Final = Refused("unreachable", is_permanent=False, retry_after_s=5)
NOT_LOGGED_IN: Final = Refused("login_refused", is_permanent=False, retry_after_s=60)
NOT_OPEN: Final = Refused("not_open", is_permanent=False, retry_after_s=1)
NO_ADDRESS: Final = Refused("no_address", is_permanent=True, is_address_dead=True)
UNFIT: Final = Refused("unfit_text", is_permanent=True)
SUBJECT_MAX: Final = 48
INBOUND_MAX: Final = 10_000
LOOPBACK: Final = "127.0.0.1"
_ADDRESS: Final = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,255}")
_ENHANCED: Final = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True)
class SmtpSettings:
    """One account at a mail server. `mail_from` is who writes, `from_name` how that is shown.

    With a `hook_secret` bounces, complaints and replies are heard (they are sent to `bounce_to`),
    and each message names where a click ends them.
    """

    host: str
    mail_from: str
    from_name: str = ""
    port: int = 587
    security: Security = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    bounce_to: str | None = None
    hook_secret: str | None = field(default=None, repr=False)
    callback_url: str | None = None
    name: str = "smtp"
    timeout_s: float = 30.0
    connections: int = 4


def smtp_channel(settings: SmtpSettings, *, clock: Clock) -> SmtpChannel:
    """A `base.Channel` over a mail server. Raises BadInput for bad settings."""
    return SmtpChannel(settings, clock=clock)


class SmtpChannel:
    """A `base.Channel` that sends emails."""

    def __init__(self, settings: SmtpSettings, *, clock: Clock) -> None:
        if settings.security == "none" and settings.host != LOOPBACK:
            raise BadInput("no mail in the clear", mend="set security to tls or starttls")
        for address in filter(None, (settings.mail_from, settings.bounce_to)):
            if not _ADDRESS.fullmatch(address):
                raise BadInput(f"not a mail address: {address!r}", mend="write name@example.com")
        self._settings, self._clock = settings, clock
        secret, domain = hook_secret(settings.hook_secret), settings.mail_from.partition("@")[2]
        self._mailbox = Mailbox(domain, secret, module=__name__)
        self._inbound = Arrivals(INBOUND_MAX)
        self._idle: asyncio.LifoQueue[Connection | None] | None = None
        self._can = replace(
            capabilities(__name__), receipts=secret is not None, replies=secret is not None
        )

    @property
    def name(self) -> str:
        return self._settings.name

    @property
    def capabilities(self) -> Capabilities:
        return self._can

    @property
    def inbound(self) -> Arrivals:
        return self._inbound

    @property
    def listening_since(self) -> datetime | None:
        """Never: a bounce may come days later, or not at all."""
        return None

    async def open(self) -> None:
        """Get ready. A connection is made when there is something to send."""
        self._idle = asyncio.LifoQueue()
        for _ in range(self._settings.connections):
            self._idle.put_nowait(None)

    async def close(self) -> None:
        """Let go of the connections that are idle; one in use ends with its message."""
        idle, self._idle = self._idle, None
        while idle is not None and not idle.empty():
            connection = idle.get_nowait()
            if connection is not None:
                connection.close()

    def hear(self, call: Call) -> Heard | Denied | asyncio.Future[Heard | Denied]:
        """A bounce, a complaint or a reply as a whole email; or a click that ends the emails."""
        heard = self._mailbox.hear(call, at=self._clock.now())
        return stored(heard, self._inbound) if isinstance(heard, Heard) else heard

    async def send(self, message: Message, *, key: str) -> SendResult:  # noqa: ARG002 - no keys here
        """Send one message, once."""
        idle = self._idle
        if idle is None:
            return NOT_OPEN
        written = self._written(message)
        if isinstance(written, Refused):
            return written
        connection = await idle.get()
        try:
            while True:
                was_open = connection is not None and connection.is_connected
                try:
                    connection = await self._connected(connection)
                    return await self._handed_over(connection, message, written)
                except SMTPAuthenticationError:
                    return NOT_LOGGED_IN
                except (SMTPException, OSError):  # TimeoutError is an OSError
                    if not was_open:
                        return NEVER_LEFT
                    connection = None  # the server had let go of it: once more on a new one
        finally:
            is_good = connection is not None and connection.is_connected
            idle.put_nowait(connection if is_good else None)

    async def send_many(
        self,
        messages: Sequence[Message],
        *,
        written: Callable[[], None] = nobody,  # noqa: ARG002 - the answers tell
    ) -> list[SendResult]:
        """Send several side by side, the results in the order of the messages."""
        return list(await asyncio.gather(*map(partial(self.send, key=""), messages)))

    async def _connected(self, connection: Connection | None) -> Connection:
        if connection is not None and connection.is_connected:
            return connection
        its = self._settings
        fresh = Connection(
            hostname=its.host,
            port=its.port,
            username=its.username,
            password=its.password,
            timeout=its.timeout_s,
            use_tls=its.security == "tls",
            start_tls=its.security == "starttls",
        )
        await fresh.connect()
        return fresh

    async def _handed_over(
        self, connection: Connection, message: Message, written: bytes
    ) -> SendResult:
        """The three commands. Raises for the wire before the text, never from then on."""
        try:
            reference = self._mailbox.reference(message.reference)
            options = [f"ENVID={reference}"] if connection.supports_extension("dsn") else []
            await connection.mail(self._return_path(reference), options=options)
            await connection.rcpt(message.address)
        except SMTPResponseException as error:
            await _forget(connection)
            return meaning(error.code, error.message)
        try:
            await connection.data(written)
        except SMTPResponseException as error:
            await _forget(connection)
            return meaning(error.code, error.message)
        except (SMTPException, OSError) as error:
            connection.close()
            return Unknown(type(error).__name__)
        return Accepted((normalise_provider_id(self._mailbox.message_id(message.reference)),))

    def _return_path(self, reference: str) -> str:
        """Where bounces go: the account's own address, the message told behind a plus sign."""
        local, _, domain = (self._settings.bounce_to or self._settings.mail_from).partition("@")
        return f"{local}+{reference}@{domain}" if self._settings.bounce_to else f"{local}@{domain}"

    def _written(self, message: Message) -> bytes | Refused:
        """The email in octets, or why it cannot be one."""
        now = self._clock.now()
        if message.is_over(now):
            return EXPIRED
        if not _ADDRESS.fullmatch(message.address):
            return NO_ADDRESS
        mail = EmailMessage(policy=SMTP)
        try:
            mail["From"] = formataddr((self._settings.from_name, self._settings.mail_from))
            mail["To"] = message.address
            mail["Subject"] = message.title or message.text.split("\n", 1)[0][:SUBJECT_MAX]
            mail["Date"] = format_datetime(now)
            mail["Message-ID"] = f"<{self._mailbox.message_id(message.reference)}>"
            mail["Auto-Submitted"] = "auto-generated"
            for name, value in self._ways_out(message.reference).items():
                mail[name] = value
            mail.set_content(message.text, charset="utf-8", cte="base64")
            return mail.as_bytes()
        except ValueError:  # a line break where none may be
            return UNFIT

    def _ways_out(self, reference: str) -> dict[str, str]:
        """How no more of these are wanted: by a mail, and by one click (RFC 2369, RFC 8058)."""
        signed = self._mailbox.reference(reference)
        if self._settings.hook_secret is None:
            return {}
        to = self._settings.bounce_to or self._settings.mail_from
        ways = [f"<mailto:{to}?subject=unsubscribe%20{signed}>"]
        if self._settings.callback_url is None:
            return {"List-Unsubscribe": ways[0]}
        ways.append(f"<{self._settings.callback_url}/unsubscribe/{signed}>")
        return {
            "List-Unsubscribe": ", ".join(ways),
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }


async def _forget(connection: Connection) -> None:
    """Have the server forget a message it refused, or let go of a connection that cannot."""
    try:
        await connection.rset()
    except (SMTPException, OSError):
        connection.close()


def meaning(code: int, text: str) -> Refused | Unknown:
    """A server's refusal, by its enhanced code (RFC 3463), else by its code, else by its class.

    >>> meaning(550, "5.1.1 no such user").is_address_dead, meaning(451, "later").is_permanent
    (True, False)
    """
    known = table(__name__)["codes"]
    enhanced = _ENHANCED.match(text)
    words = (enhanced[1] if enhanced else "", str(code), str(code)[:1])
    word = next((word for word in words if word in known), str(code))
    refused = refusal(__name__, word)
    return replace(refused, code=words[0] or words[1]) if isinstance(refused, Refused) else refused
