"""Told to end, a long command ends in order: exit code, database server and gateway included."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.scenario.road import DUEWISE, CommandLine
from tests.scenario.test_web_server import free_port

WAIT_S = 60
END_S_MAX = 30


@pytest.fixture
def workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "lender"
    assert CommandLine(capsys)("init", folder).code == 0
    return folder


@contextmanager
def running(*arguments: str | Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*DUEWISE, *(str(each) for each in arguments)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and complaints of a process that is told to end; its children are gone as well."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=END_S_MAX)
    _, alive = psutil.wait_procs(children, timeout=END_S_MAX)
    assert not alive
    return process.returncode, said


def server_of(workspace: Path) -> Path:
    return workspace / "postgres" / "data" / "postmaster.pid"


def is_bound(port: int, process: subprocess.Popen[str]) -> bool:
    """Whether the process has a connection to that port."""
    assert process.poll() is None
    found = psutil.Process(process.pid).net_connections(kind="tcp")
    return any(each.raddr and each.raddr.port == port for each in found)


def is_listening(port: int, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None
    found = psutil.Process(process.pid).net_connections(kind="tcp")
    return any(each.laddr.port == port and not each.raddr for each in found)


def test_it_ends_a_sender_that_waits_and_its_gateway(workspace: Path) -> None:
    port = free_port()
    given = {"DUEWISE_SMPP__PORT": str(port), "DUEWISE_LEDGER__FEED": "events"}
    with running("--workspace", workspace, "gateway", **given) as gateway:
        wait_until(lambda: is_listening(port, gateway))
        with running("--workspace", workspace, "send", "--no-until-empty", **given) as sender:
            wait_until(lambda: is_bound(port, sender))
            assert server_of(workspace).exists()
            assert ended(sender) == (0, "")
        assert not server_of(workspace).exists()
        assert ended(gateway) == (0, "")


def test_it_ends_the_console_and_its_database(workspace: Path) -> None:
    port = free_port()
    with running("--workspace", workspace, "serve", "--port", str(port)) as console:
        wait_until(lambda: is_listening(port, console))
        assert server_of(workspace).exists()
        code, _ = ended(console)
    assert code == 0
    assert not server_of(workspace).exists()


def test_it_ends_a_demo_in_the_middle(tmp_path: Path) -> None:
    folder = tmp_path / "lender"
    with running("demo", "--borrowers", "300", "--days", "366", "--folder", folder) as demo:
        wait_until((folder / "gateway.jsonl").exists)
        assert ended(demo)[0] == 143
    assert not server_of(folder).exists()
