"""Amazon SNS over HTTPS: whether a notification is Amazon's own, of a topic of ours.

Signature version 2 only (RSA with SHA-256; AWS, "Verifying the signatures of Amazon SNS
messages"): under version 1, by SHA-1, whoever has a topic could have a collision signed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from duewise.channels.heard import FORGED, UNREADABLE, Denied, Fetch

HOST: Final = re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
CERTIFICATES_MAX: Final = 16
CONFIRMATIONS: Final = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
_SIGNED: Final[Mapping[str, tuple[str, ...]]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        CONFIRMATIONS,
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}


class Topic:
    """One topic, and the certificates that its notifications were signed under so far."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._certificates: dict[str, x509.Certificate | None] = {}

    def learn(self, url: str, octets: bytes) -> None:
        """Keep the certificate that was fetched; None where it is none."""
        if len(self._certificates) >= CERTIFICATES_MAX:
            self._certificates.clear()
        try:
            self._certificates[url] = x509.load_pem_x509_certificate(octets)
        except ValueError:
            self._certificates[url] = None

    def verify(self, words: Mapping[str, Any], *, at: datetime) -> Denied | Fetch | None:
        """None: it is Amazon's word. Fetch: its certificate is needed first."""
        names = _SIGNED.get(str(words.get("Type")))
        if names is None or words.get("TopicArn") != self._arn:
            return FORGED
        url, signature = words.get("SigningCertURL"), words.get("Signature")
        if words.get("SignatureVersion") != "2" or not is_amazons(url):
            return FORGED
        if url not in self._certificates:
            return Fetch(str(url))
        certificate = self._certificates[url]
        if certificate is None or not is_in_force(certificate, at):
            del self._certificates[url]
            return FORGED
        text = "".join(f"{name}\n{words[name]}\n" for name in names if name in words)
        try:
            octets = base64.b64decode(str(signature), validate=True)
        except ValueError:
            return UNREADABLE
        return None if _is_signed(certificate, octets, text.encode()) else FORGED


def is_amazons(url: object) -> bool:
    """Whether an address is of Amazon SNS itself, by https, and nowhere else.

    >>> is_amazons("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem")
    True
    >>> is_amazons("https://sns.eu-west-1.amazonaws.com.example.com/1.pem")
    False
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        plain = parts.port in (None, 443) and parts.username is None
    except ValueError:
        return False
    return parts.scheme == "https" and plain and bool(HOST.fullmatch(parts.hostname or ""))


def is_in_force(certificate: x509.Certificate, at: datetime) -> bool:
    """Whether the certificate may be used at that instant."""
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _is_signed(certificate: x509.Certificate, signature: bytes, text: bytes) -> bool:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
