"""Providers that call: each vendor's own words and signature, and a place where they are heard."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.contract.channel_world import MORNING
from twilio.request_validator import RequestValidator

from duewise.channels.heard import Call

SECRET = "invented-secret-of-the-hook"
PUBLIC = "https://hooks.example.com"
TOPIC = "arn:aws:sns:ap-southeast-1:000000000000:texts"
CERTIFICATE = "https://sns.ap-southeast-1.amazonaws.com/SimpleNotificationService-1.pem"


def call(body: bytes, *, rest: str = "", query: str = "", **headers: str) -> Call:
    pairs = dict(each.split("=", 1) for each in query.split("&") if each)
    tail = (f"/{rest}" if rest else "") + (f"?{query}" if query else "")
    names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Call("POST", f"{PUBLIC}/hooks/main{tail}", rest, pairs, names, body)


def by_twilio(form: dict[str, str], *, query: str = "", token: str = SECRET) -> Call:
    """A call with the signature that Twilio's own library makes."""
    url = f"{PUBLIC}/hooks/main" + (f"?{query}" if query else "")
    signature = RequestValidator(token).compute_signature(url, form)
    return call(urlencode(form).encode(), query=query, X_Twilio_Signature=signature)


def by_json(body: Any, *, secret: str = SECRET) -> Call:
    return call(json.dumps(body).encode(), rest=secret)


class Amazon:
    """A signer of notifications with a certificate of its own, by the words of the AWS manual."""

    def __init__(self, *, days: int = 365) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = x509.CertificateBuilder(name, name, self._key.public_key(), 7)
        made = made.not_valid_before(MORNING - timedelta(days=1))
        signed = made.not_valid_after(MORNING + timedelta(days=days)).sign(
            self._key, hashes.SHA256()
        )
        self.pem = signed.public_bytes(serialization.Encoding.PEM)

    def says(self, message: Any, *, kind: str = "Notification", **changed: str) -> dict[str, str]:
        words = {
            "Type": kind,
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": json.dumps(message),
            "Timestamp": "2026-08-10T01:00:00.000Z",
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE,
        } | changed
        # Each name and each value on a line of its own, the names in byte order.
        signed = [
            *("Message", "MessageId", "SubscribeURL", "Subject"),
            *("Timestamp", "Token", "TopicArn", "Type"),
        ]
        text = "".join(f"{name}\n{words[name]}\n" for name in signed if name in words)
        octets = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return words | {"Signature": base64.b64encode(octets).decode()}
