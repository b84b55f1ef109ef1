"""What comes back of an email: bounces (RFC 3464), complaints (RFC 5965), clicks and replies.

A message is told by the reference in its Message-ID and return path, signed: whoever never had the
message cannot speak of it. A mail arrives here as a call with the whole mail as its body.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Final

from duewise.channels.base import (
    Inbound,
    InboundReceipt,
    InboundReply,
    normalise_provider_id,
)
from duewise.channels.heard import (
    FORGED,
    UNREADABLE,
    Call,
    Denied,
    Heard,
    knows_secret,
    name_of,
)
from duewise.channels.table import refusal, table

UNSUBSCRIBE: Final = "unsubscribe"
TEXT_MAX: Final = 2_000
RECIPIENTS_MAX: Final = 100
_SIGNATURE_LENGTH: Final = 16
_SIGNED: Final = re.compile(rf"(\d{{1,18}})-([0-9a-f]{{{_SIGNATURE_LENGTH}}})")
_QUOTE: Final = re.compile(r"^(?:>|-{3,}|_{3,}|On .{1,200} wrote:|.{1,200}写道[:：])", re.MULTILINE)


class Mailbox:
    """The references of one account, and what is said of them. `module` has the table of codes."""

    def __init__(self, domain: str, secret: str | None, *, module: str) -> None:
        self._domain, self._secret, self._module = domain, secret, module

    def reference(self, reference: str) -> str:
        """Our reference with a signature, as it travels with the message."""
        return f"{reference}-{self._signature(reference)}"

    def message_id(self, reference: str) -> str:
        """The Message-ID of a message, without its brackets; also the provider's id of it."""
        return f"{self.reference(reference)}@{self._domain}"

    def hear(self, call: Call, *, at: datetime) -> Heard | Denied:
        """A click that ends the emails, or a whole mail that came back."""
        if self._secret is None:
            return FORGED
        if call.rest.startswith(f"{UNSUBSCRIBE}/"):
            return self._clicked(call, at)
        if not knows_secret(call, self._secret):
            return FORGED
        try:
            mail = message_from_bytes(call.body, policy=policy.default)
            return Heard(tuple(self._told(mail, at)))
        except (ValueError, LookupError, AttributeError, TypeError):  # what hostile headers raise
            return UNREADABLE

    def _clicked(self, call: Call, at: datetime) -> Heard | Denied:
        """One click; only a POST counts, for scanners follow every link (RFC 8058, 3.2)."""
        reference = self._believed(call.rest.removeprefix(f"{UNSUBSCRIBE}/"))
        if reference is None:
            return FORGED
        if call.method != "POST":
            return Denied(405, "not_a_post")
        return Heard((self._opt_out(reference, at),))

    def _told(self, mail: Message, at: datetime) -> Iterator[Inbound]:
        kind = str(mail.get_param("report-type", "")).lower()
        if mail.get_content_type() == "multipart/report" and kind == "delivery-status":
            yield from self._bounced(mail, at)
        elif mail.get_content_type() == "multipart/report" and kind == "feedback-report":
            reference = self._original(mail)
            if reference is not None:
                yield self._opt_out(reference, at)
        elif str(mail.get("Auto-Submitted", "no")).lower() == "no":
            yield from self._replied(mail, at)

    def _bounced(self, mail: Message, at: datetime) -> Iterator[Inbound]:
        """A receipt for the one recipient that each of our messages has."""
        blocks = [
            block
            for part in mail.walk()
            if part.get_content_type() == "message/delivery-status"
            for block in _blocks(part)
        ][: 1 + RECIPIENTS_MAX]
        named = (self._found(str(block.get("Original-Envelope-Id", ""))) for block in blocks)
        reference = next(filter(None, named), None) or self._original(mail)
        if reference is None:
            return
        known = table(self._module)
        for block in blocks:
            action, code = (
                str(block.get("Action", "")).strip().lower(),
                str(block.get("Status", "")),
            )
            status = known["receipts"].get(action)
            if status is None:
                continue
            word = code.strip().partition(" ")[0]
            asked = refusal(self._module, word) if word in known["codes"] else None
            yield InboundReceipt(
                normalise_provider_id(self.message_id(reference)),
                "expired" if status == "failed" and word in known["expired"] else status,
                word or action,
                reference,
                at,
                is_address_dead=status == "failed" and getattr(asked, "is_address_dead", False),
            )

    def _replied(self, mail: Message, at: datetime) -> Iterator[Inbound]:
        """What a person wrote in answer, without what is quoted below it."""
        named = [str(mail.get(name, "")) for name in ("In-Reply-To", "References", "Subject")]
        reference = next(filter(None, map(self._found, named)), None)
        if reference is None:
            return
        if UNSUBSCRIBE in named[-1].lower():
            yield self._opt_out(reference, at)
            return
        body = mail.get_body(("plain",)) if isinstance(mail, EmailMessage) else None
        text = _QUOTE.split(body.get_content() if body else "")[0].strip()[:TEXT_MAX]
        name = name_of(str(mail.get("Message-ID", "")), reference, text)
        if text:
            yield InboundReply(name, "", "", text, at, reference=reference)

    def _original(self, mail: Message) -> str | None:
        """The message that a report is about: by the headers returned, or where it was sent."""
        for part in mail.walk():
            if part.get_content_type() in {"text/rfc822-headers", "message/rfc822"}:
                found = self._found(part.as_string()[: 16 * 1_024])
                if found is not None:
                    return found
        return self._found(" ".join(str(mail.get(name, "")) for name in ("To", "Delivered-To")))

    def _opt_out(self, reference: str, at: datetime) -> InboundReply:
        name = name_of(UNSUBSCRIBE, reference)
        return InboundReply(name, "", "", UNSUBSCRIBE, at, reference=reference)

    def _found(self, text: str) -> str | None:
        """The first reference of ours in a text."""
        found = (self._believed(match[0]) for match in _SIGNED.finditer(text))
        return next(filter(None, found), None)

    def _believed(self, signed: str) -> str | None:
        """The reference, if the signature behind it is ours."""
        match = _SIGNED.fullmatch(signed)
        if match is None or not hmac.compare_digest(match[2], self._signature(match[1])):
            return None
        return match[1]

    def _signature(self, reference: str) -> str:
        key = (self._secret or self._domain).encode()
        return hmac.digest(key, reference.encode(), "sha256").hex()[:_SIGNATURE_LENGTH]


def _blocks(part: Message) -> list[Message]:
    """The groups of fields in a delivery status: of the message, then of each recipient."""
    payload = part.get_payload()
    blocks = payload if isinstance(payload, list) else []
    return [block for block in blocks if isinstance(block, Message)]
