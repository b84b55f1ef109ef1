"""The web server: gunicorn's threaded worker in this very process, with a graceful end.

No process is forked: the libraries that read the journal keep threads of their own, and a fork of a
process that has such threads waits for them for ever.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.sock import create_sockets
from gunicorn.workers.gthread import ThreadWorker

from duewise.errors import BadInput

WSGI = Callable[..., Any]
THREADS = 8
GRACE_S = 20


class _Application(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """Our settings, and the application they are for."""

    def __init__(self, application: WSGI, options: dict[str, Any]) -> None:
        self._application = application
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> WSGI:
        return self._application


class _Worker(ThreadWorker):  # type: ignore[misc]
    """The worker without a master: whatever asks it to end lets it finish what it has begun."""

    def init_signals(self) -> None:
        super().init_signals()
        for told in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(told, self.handle_exit)

    def is_parent_alive(self) -> bool:
        return True  # who started us may end before us


def serve(application: WSGI, *, host: str, port: int, threads: int = THREADS) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then finish the requests at hand. Does not return.

    Raises BadInput where the address cannot be had, and SystemExit with 0 after a graceful end. To
    be called from the main thread, for it takes the signals.
    """
    listener = _listener(host, port)
    options = {
        "bind": f"fd://{listener.fileno()}",
        "threads": threads,
        "graceful_timeout": GRACE_S,
        "loglevel": "warning",
        "limit_request_line": 4_094,
        "limit_request_fields": 60,
        # Only a proxy on this machine may say that the browser came by https.
        "forwarded_allow_ips": "127.0.0.1,::1",
    }
    server = _Application(application, options)
    cfg, log = server.cfg, server.cfg.logger_class(server.cfg)
    sockets = create_sockets(cfg, log)
    _Worker(0, os.getppid(), sockets, server, cfg.timeout, cfg, log).init_process()
    raise SystemExit(0)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family)
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise BadInput(
            f"cannot listen on {host}:{port}: {why}", mend="choose another port"
        ) from error
