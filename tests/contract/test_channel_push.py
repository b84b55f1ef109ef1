"""Push: signed as the vendors' own verifiers accept it, shown as a locked phone may show it."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import google.auth.crypt
import google.auth.jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from google.oauth2 import service_account
from hypercorn.asyncio import serve
from hypercorn.config import Config
from tests.contract.channel_world import MORNING, free_port, message
from tests.contract.post_world import SERVICE_ACCOUNT, provider

from duewise.channels.apns import DEAD, ApnsChannel, ApnsSettings, apns_channel
from duewise.channels.base import Accepted, Refused, Unknown
from duewise.channels.fcm import SCOPE, Fcm, FcmSettings, fcm_channel
from duewise.errors import BadInput
from duewise.times import ManualClock

DEVICE = "a1b2c3d4" * 8
PREVIEW = "您有一条账户消息"
TEXT = "【甲消费金融】王女士，应还1,234.56元。"


def pem_of(key: Any) -> tuple[str, bytes]:
    """A private key as its owner has it, and the public one as a verifier wants it."""
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public


def push(**changed: Any) -> Any:
    return message(7, text=TEXT, address=DEVICE)._replace(title=PREVIEW, **changed)


RSA, RSA_PUBLIC = pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC, EC_PUBLIC = pem_of(EC_KEY)


def firebase(endpoint: str) -> FcmSettings:
    account = SERVICE_ACCOUNT | {"private_key": RSA, "token_uri": f"{endpoint}token"}
    return FcmSettings(json.dumps(account), endpoint=endpoint)


class Google:
    """Gives tokens and takes messages; `over` are tokens that it calls over."""

    def __init__(self) -> None:
        self.assertions: list[str] = []
        self.asked: list[tuple[str, Any]] = []
        self.over: set[str] = set()
        self.gives: Callable[[], web.Response] = self.give

    def give(self) -> web.Response:
        return web.json_response(
            {
                "access_token": f"t{len(self.assertions)}",
                "expires_in": 3_599,
                "token_type": "Bearer",
            }
        )

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = (await request.read()).decode()
        if request.path == "/token":
            form = parse_qs(body)
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            self.assertions += form["assertion"]
            await asyncio.sleep(0.01)
            return self.gives()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.asked.append((token, json.loads(body)))
        if token in self.over:
            error = {"code": 401, "status": "UNAUTHENTICATED", "message": "expired"}
            return web.json_response({"error": error}, status=401)
        return web.json_response({"name": f"projects/lender/messages/{len(self.asked)}"})


async def test_it_asks_firebase_under_one_token_until_it_is_over() -> None:
    its, clock = Google(), ManualClock(MORNING)
    async with provider(its.answer) as endpoint:
        channel = fcm_channel(firebase(endpoint), clock=clock)
        await channel.open()
        first = await channel.send_many([push() for _ in range(5)])
        assert [type(each) for each in first] == [Accepted] * 5
        assert len(its.assertions) == 1
        its.over.add("t1")
        assert isinstance(await channel.send(push(), key=""), Accepted)
        assert [token for token, _ in its.asked][-2:] == ["t1", "t2"]
        clock.set(MORNING + timedelta(minutes=56))
        assert isinstance(await channel.send(push(), key=""), Accepted)
        await channel.close()
    assert len(its.assertions) == 3
    sent = its.asked[0][1]["message"]
    assert (sent["token"], sent["notification"]) == (DEVICE, {"title": PREVIEW})
    assert sent["data"] == {"text": TEXT, "reference": "e7"}
    assert sent["android"]["ttl"] == "43200s"


async def test_it_asks_nothing_of_firebase_without_a_token() -> None:
    its = Google()
    async with provider(its.answer) as endpoint:
        channel = fcm_channel(firebase(endpoint), clock=ManualClock(MORNING))
        await channel.open()
        for given in (web.Response(status=500), web.json_response({"error": "invalid_grant"})):
            its.gives = partial(copy, given)
            said = await channel.send(push(), key="")
            assert said == Refused("no_token", is_permanent=False, retry_after_s=30)
        await channel.close()
    assert its.asked == []


def test_it_signs_for_a_token_as_googles_own_library_does() -> None:
    vendor = Fcm(firebase("http://127.0.0.1:1/"))
    asked = vendor.token_request(at=MORNING)
    assertion = parse_qs(asked.body.decode())["assertion"][0]
    theirs = service_account.Credentials.from_service_account_info(
        SERVICE_ACCOUNT | {"private_key": RSA, "token_uri": vendor.token_endpoint}, scopes=[SCOPE]
    )._make_authorization_grant_assertion()
    head, said, _, _ = google.auth.jwt._unverified_decode(assertion)
    their_head, their_said, _, _ = google.auth.jwt._unverified_decode(theirs)
    assert head == their_head
    # Google's library names the audience that it is about to ask; times are the day's.
    assert said.keys() == their_said.keys()
    assert {name: said[name] for name in ("iss", "scope")} == {
        name: their_said[name] for name in ("iss", "scope")
    }
    assert said["exp"] - said["iat"] == their_said["exp"] - their_said["iat"] == 3_600
    signed, _, signature = assertion.rpartition(".")
    verifier = google.auth.crypt.RSAVerifier.from_string(RSA_PUBLIC)
    assert verifier.verify(signed.encode(), unpadded(signature))


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_it_refuses_keys_that_are_none_and_shows_nothing_of_them() -> None:
    for text in ("{", '{"project_id": "secret-thing"}', "[]"):
        with pytest.raises(BadInput, match="key file") as refused:
            Fcm(FcmSettings(text))
        assert "secret-thing" not in str(refused.value)
    with pytest.raises(BadInput, match="key of Apple's"):
        apns_channel(ApnsSettings("T", "K", "app", "no key"), clock=ManualClock(MORNING))


class Apple:
    """Devices at an HTTP/2 server of another make; keeps what it was asked."""

    def __init__(self, status: int = 200, reason: str | None = None, *, hang_s: float = 0) -> None:
        self.status, self.reason, self.hang_s = status, reason, hang_s
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["http_version"], scope["path"], headers, json.loads(body)))
        await asyncio.sleep(self.hang_s)
        name = [(b"apns-id", headers["apns-id"].upper().encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": name})
        said = b"" if self.reason is None else json.dumps({"reason": self.reason}).encode()
        await send({"type": "http.response.body", "body": said})


@asynccontextmanager
async def at_apple(app: Apple, folder: Path, **settings: Any) -> AsyncIterator[ApnsChannel]:
    """A channel to a server with a certificate of its own."""
    config = Config()
    port = free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile = certificate(folder)
    config.loglevel, config.graceful_timeout = "CRITICAL", 0.1
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    account = {
        "ca_file": config.certfile,
        "endpoint": f"https://127.0.0.1:{port}/",
        "timeout_s": 0.5,
    }
    made = ApnsSettings("TEAM", "KEY", "com.lender.app", EC, **(account | settings))  # type: ignore[arg-type]
    channel = apns_channel(made, clock=ManualClock(MORNING))
    await channel.open()
    try:
        for _ in range(200):
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
            except OSError:
                await asyncio.sleep(0.01)
            else:
                break
        yield channel
    finally:
        await channel.close()
        stop.set()
        await serving


def certificate(folder: Path) -> tuple[str, str]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, EC_KEY.public_key(), 7)
    made = made.not_valid_before(MORNING - timedelta(days=3_650))
    made = made.not_valid_after(MORNING + timedelta(days=3_650)).add_extension(host, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    pem = made.sign(EC_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(pem)
    key.write_text(EC, encoding="ascii")
    return str(cert), str(key)


async def test_it_asks_apple_over_http_2_under_a_token_that_verifies(tmp_path: Path) -> None:
    apple = Apple()
    async with at_apple(apple, tmp_path) as channel:
        results = await channel.send_many([push(), push(reference="e8")])
    assert len({each.provider_ids for each in results if isinstance(each, Accepted)}) == 2
    assert len(apple.asked) == 2
    version, path, headers, body = apple.asked[0]
    assert (version, path) == ("2", f"/3/device/{DEVICE}")
    assert body["aps"]["alert"] == {"title": PREVIEW}
    assert body["text"] == TEXT
    assert headers["apns-topic"] == "com.lender.app"
    assert headers["apns-expiration"] == str(int(MORNING.timestamp()) + 12 * 3_600)
    token = headers["authorization"].removeprefix("bearer ")
    signed, _, signature = token.rpartition(".")
    head, said = (json.loads(unpadded(part)) for part in signed.split("."))
    assert (head["alg"], head["kid"], said) == (
        "ES256",
        "KEY",
        {"iss": "TEAM", "iat": int(MORNING.timestamp())},
    )
    verifier = google.auth.crypt.EsVerifier.from_string(EC_PUBLIC)
    assert verifier.verify(signed.encode(), unpadded(signature))


def for_now(code: str) -> Refused:
    return Refused(code, is_permanent=False, retry_after_s=60)


@pytest.mark.parametrize(
    ("apple", "result"),
    [
        (
            Apple(410, "Unregistered"),
            Refused("Unregistered", is_permanent=True, is_address_dead=True),
        ),
        (Apple(400, "BadDeviceToken"), DEAD),
        (Apple(403, "ExpiredProviderToken"), for_now("ExpiredProviderToken")),
        (Apple(503, "Shutdown"), for_now("Shutdown")),
        (Apple(413, "PayloadTooLarge"), Refused("PayloadTooLarge", is_permanent=True)),
        (Apple(500, "InternalServerError"), Unknown("InternalServerError")),
        (Apple(502), Unknown("http_502")),
        (Apple(hang_s=1), Unknown("ReadTimeout")),
    ],
)
async def test_it_takes_each_answer_of_apple_for_what_it_is(
    apple: Apple, result: Any, tmp_path: Path
) -> None:
    async with at_apple(apple, tmp_path) as channel:
        assert await channel.send(push(), key="") == result
    assert len(apple.asked) == 1


async def test_it_says_what_never_left_for_apple(tmp_path: Path) -> None:
    async with at_apple(Apple(), tmp_path, endpoint=f"https://127.0.0.1:{free_port()}/") as channel:
        never = Refused("unreachable", is_permanent=False, retry_after_s=5)
        assert await channel.send(push(), key="") == never
        assert await channel.send(push(address="../3/device/x"), key="") == DEAD
    async with at_apple(Apple(), tmp_path, ca_file=None) as channel:  # nobody vouches for it
        assert await channel.send(push(), key="") == never
    assert await channel.send(push(), key="") == Refused(
        "not_open", is_permanent=False, retry_after_s=1
    )
