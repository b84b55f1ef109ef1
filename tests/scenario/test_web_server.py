"""The server process: it answers, finishes what it has begun, and ends when it is told to."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from duewise.errors import BadInput
from duewise.web.server import serve

WAIT_S = 20
SERVE = """
import sys
from duewise.web.server import serve

def tell_scheme(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.url_scheme"].encode()]

serve(tell_scheme, host="127.0.0.1", port=int(sys.argv[1]), threads=2)
"""

SERVE_FRAMES = """
import sys
import polars as pl
from duewise.web.server import serve

FRAME = pl.LazyFrame({"name": ["Li", "Wang"] * 50_000})

def count(environ=None, start_response=None):
    rows = FRAME.group_by("name").len().collect().height
    if start_response:
        start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(rows).encode()]

count()  # whoever serves has read a strategy and a book by now
serve(count, host="127.0.0.1", port=int(sys.argv[1]), threads=2)
"""

SERVE_EVERYTHING = """
import os, sys
from pathlib import Path
from duewise.errors import BadInput
from duewise.store.connection import connect
from duewise.times import ManualClock, parse_instant
from duewise.store.seal import load_keyring
from duewise.jobs.ingest import record_payments
from duewise.jobs.promises import record_promises
from duewise.web.server import serve
from duewise.web.services import Services
from duewise.web.settings import web_settings
from duewise.web.wsgi import build_wsgi, make_operator, migrate

port, dsn, workspace = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
services = Services(
    clock=ManualClock(parse_instant("2026-08-10T12:00+08:00")),
    connect=lambda: connect(dsn),
    keyring=load_keyring(workspace / "secrets", random_bytes=os.urandom),
    workspace=workspace,
    record_payments=record_payments,
    record_promises=record_promises,
)
application = build_wsgi(web_settings(dsn=dsn, secret_key="k" * 60), services)
assert migrate(dsn) and not migrate(dsn)
try:
    make_operator("ops", "12345")
except BadInput as error:
    assert "12" in str(error)
else:
    raise AssertionError("a weak password was taken")
make_operator("ops", "correct horse battery")
serve(application, host="127.0.0.1", port=port)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str = "", headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers=headers or {})
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return str(answer.read().decode())


def started(port: int, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", program, str(port), *arguments])
    for _ in range(WAIT_S * 20):
        try:
            ask(port)
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            return process
    process.kill()
    process.wait()
    raise AssertionError("the server does not answer")


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_it_is_told_to_end(told: signal.Signals) -> None:
    port = free_port()
    process = started(port, SERVE)
    try:
        assert ask(port) == "http"
        assert ask(port, headers={"X-Forwarded-Proto": "https"}) == "https"
        process.send_signal(told)
        assert process.wait(timeout=WAIT_S) == 0
    finally:
        process.kill()
        process.wait()


def test_it_reads_frames_as_the_process_did_before() -> None:
    port = free_port()
    process = started(port, SERVE_FRAMES)
    try:
        assert [ask(port) for _ in range(3)] == ["2", "2", "2"]
    finally:
        process.kill()
        process.wait()


def test_it_says_when_its_address_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadInput, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
            serve(lambda *_: [], host="127.0.0.1", port=port)


def test_it_serves_a_new_database_from_settings_to_login(empty_dsn: str, tmp_path: Path) -> None:
    port = free_port()
    process = started(port, SERVE_EVERYTHING, empty_dsn, str(tmp_path))
    try:
        assert json.loads(ask(port, "readyz"))["status"] == "ready"
        assert "Welcome back to" in ask(port, "console/login/", {"Accept-Language": "en"})
        assert "欢迎回到" in ask(port, "console/login/", {"Accept-Language": "zh-CN"})
        assert ":root" in ask(port, "static/unfold/css/styles.css")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=WAIT_S) == 0
    finally:
        process.kill()
        process.wait()
