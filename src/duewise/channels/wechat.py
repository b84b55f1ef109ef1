"""WeChat official account (公众号): template messages and subscription messages, under its token.

WeChat takes no free text but a template it has filed and the values of its fields (`approved`). Its
server calls us with what became of a template message, and with what people write to the account.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote
from xml.etree import ElementTree as ET

from duewise.channels.approved import NO_TEMPLATE, Fit, Wordings
from duewise.channels.base import (
    EXPIRED,
    Accepted,
    InboundReceipt,
    InboundReply,
    Message,
    Refused,
    SendResult,
    Unknown,
    normalise_provider_id,
)
from duewise.channels.heard import FORGED, UNREADABLE, Call, Heard, Hearing
from duewise.channels.post import Answer, PostChannel, Request, accepted, seconds_left
from duewise.channels.table import capabilities, receipt_status, refusal
from duewise.channels.token import Token, Tokens
from duewise.errors import BadInput
from duewise.times import Clock

MARK: Final = r"\{\{(\w+)\}\}"
TOKEN_OVER: Final = frozenset({"40001", "40014", "42001"})
PATHS: Final = {"template": "message/template/send", "subscription": "message/subscribe/bizsend"}
SECONDS_MAX: Final = 2**33


@dataclass(frozen=True)
class Filed:
    """A template as it was filed: our text with `{{tail}}` for its values, and WeChat's fields.

    Without `fields` each value is the field of its name; else a field is written of values:
    `thing1 = "尾号{{tail}}的借款"`.
    """

    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WechatSettings:
    """One official account. `templates`: WeChat's template id to what was filed under it.

    `page` opens on a tap. `hook_token` is the token agreed for calls (服务器配置), in plain mode.
    """

    app_id: str
    app_secret: str = field(repr=False)
    templates: Mapping[str, Filed]
    messages: Literal["template", "subscription"] = "template"
    page: str | None = None
    hook_token: str | None = field(default=None, repr=False)
    name: str = "wechat"
    endpoint: str = "https://api.weixin.qq.com/"
    timeout_s: float = 10.0
    requests_max: int = 50


def wechat_channel(settings: WechatSettings, *, clock: Clock) -> PostChannel:
    """A `base.Channel` over an official account. Raises BadInput for bad settings."""
    vendor = Wechat(settings)
    return PostChannel(vendor, clock=clock, tokens=Tokens(vendor, clock=clock, codes=TOKEN_OVER))


class Wechat:
    """How WeChat is asked, and what it answers; a `post.Vendor` and a `token.TokenVendor`."""

    def __init__(self, settings: WechatSettings) -> None:
        self._settings, self.token = settings, ""
        base = f"{settings.endpoint.rstrip('/')}/cgi-bin"
        self.name, self.endpoint = settings.name, f"{base}/{PATHS[settings.messages]}"
        self.token_endpoint = f"{base}/stable_token"
        self.timeout_s, self.requests_max = settings.timeout_s, settings.requests_max
        texts = {code: filed.text for code, filed in settings.templates.items()}
        self._wordings = Wordings(texts, mark=MARK, is_signed=False)
        for code, filed in settings.templates.items():
            unknown = _marks(*filed.fields.values()) - _marks(filed.text)
            if unknown:
                said = f"the text of template {code!r} has no value {min(unknown)!r}"
                raise BadInput(said, mend="name the values of its fields as the text does")
        is_called = settings.hook_token is not None
        self.capabilities = replace(
            capabilities(__name__),
            receipts=is_called and settings.messages == "template",
            replies=is_called,
        )

    def token_request(self, *, at: datetime) -> Request:  # noqa: ARG002 - the token's own time
        """For the token that all who ask share until it is over."""
        its = self._settings
        asked = {"grant_type": "client_credential", "appid": its.app_id, "secret": its.app_secret}
        return Request("", {"content-type": "application/json"}, json.dumps(asked).encode())

    def token_of(self, answer: Answer) -> Token | None:
        match answer.words:
            case {"access_token": str(value), "expires_in": int(seconds)}:
                return Token(value, seconds)
        return None

    def request(self, message: Message, *, at: datetime) -> Request | Refused:
        """A message to one follower; within ten minutes WeChat takes the same name only once."""
        if seconds_left(message, at=at, longest=1) < 1:
            return EXPIRED
        fit = self._wordings.fit(message.text)
        if fit is None:
            return NO_TEMPLATE
        asked = {
            "touser": message.address,
            "template_id": fit.code,
            "client_msg_id": message.reference,
            "data": self._data(fit),
        }
        if self._settings.page:
            asked["url" if self._settings.messages == "template" else "page"] = self._settings.page
        body = json.dumps(asked, ensure_ascii=False).encode()
        query = f"access_token={quote(self.token, safe='')}"
        return Request(query, {"content-type": "application/json"}, body)

    def _data(self, fit: Fit) -> Mapping[str, Mapping[str, str]]:
        """The fields that were filed, filled with the values of the text."""
        fields = self._settings.templates[fit.code].fields or {
            name: f"{{{{{name}}}}}" for name in fit.values
        }
        return {
            name: {"value": re.sub(MARK, lambda mark: fit.values[mark[1]], text)}
            for name, text in fields.items()
        }

    def meaning(self, answer: Answer) -> SendResult:
        """An `errcode`; taken under a `msgid`, which a subscription message need not have."""
        match answer.words:
            case {"errcode": 0, "msgid": name}:
                return accepted(answer, str(name) if isinstance(name, int) else name)
            case {"errcode": 0} if self._settings.messages == "subscription":
                return Accepted(())
            case {"errcode": 0}:
                return Unknown("no_id")
            case {"errcode": int(code)}:
                return refusal(__name__, str(code))
        return Unknown("answer_without_code")

    def hear(self, call: Call, *, at: datetime) -> Hearing:
        """What became of a template message, or what a follower wrote; all signed by the token."""
        if not is_signed(call.query, self._settings.hook_token):
            return FORGED
        if call.method == "GET":  # the account's address is being set up
            return Heard((), call.query.get("echostr", "").encode())
        words = _fields(call.body)
        if words is None:
            return UNREADABLE
        return self._told(words, _instant(words.get("CreateTime", ""), otherwise=at))

    def learn(self, url: str, octets: bytes) -> None:
        """Nothing is fetched."""

    def _told(self, words: Mapping[str, str], at: datetime) -> Heard:
        answer = b"success"
        match words:
            case {"Event": "TEMPLATESENDJOBFINISH", "MsgID": name, "Status": word}:
                status = receipt_status(__name__, word) or "failed"
                told = InboundReceipt(normalise_provider_id(name), status, word, "", at)
                return Heard((told,), answer)
            case {"MsgType": "text", "MsgId": name, "FromUserName": source, "Content": text}:
                to = words.get("ToUserName", "")
                return Heard((InboundReply(name, source, to, text, at),), answer)
        return Heard((), answer)


def is_signed(query: Mapping[str, str], token: str | None) -> bool:
    """Whether a call comes from WeChat: the SHA-1 of token, time and nonce in order.

    >>> is_signed({"signature": "", "timestamp": "1", "nonce": "2"}, "invented")
    False
    """
    if token is None:
        return False
    parts = sorted((token, query.get("timestamp", ""), query.get("nonce", "")))
    ours = hashlib.sha1("".join(parts).encode()).hexdigest()  # noqa: S324 - WeChat's choice
    return hmac.compare_digest(ours.encode(), query.get("signature", "").encode())


def _marks(*texts: str) -> set[str]:
    return {name for text in texts for name in re.findall(MARK, text)}


def _fields(body: bytes) -> Mapping[str, str] | None:
    """The fields of a flat XML message; one that declares anything is none of WeChat's."""
    if b"<!" in body.replace(b"<![CDATA[", b""):
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - without declarations there is nothing to unfold
    except ET.ParseError:
        return None
    return {child.tag: child.text or "" for child in root}


def _instant(text: str, *, otherwise: datetime) -> datetime:
    is_number = text.isascii() and text.isdecimal() and int(text[:12]) < SECONDS_MAX
    return datetime.fromtimestamp(int(text), UTC) if is_number else otherwise
