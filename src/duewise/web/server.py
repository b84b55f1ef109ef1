"""The web server: gunicorn with threads, in this process's settings and with a graceful end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

WSGI = Callable[..., Any]
THREADS = 8
GRACE_S = 20
REQUEST_S = 60


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """One worker, for the embedded state of the process (login counts) is shared by its threads."""

    def __init__(self, application: WSGI, options: dict[str, Any]) -> None:
        self._application = application
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> WSGI:
        return self._application


def serve(application: WSGI, *, host: str, port: int, threads: int = THREADS) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests at hand. Does not return.

    Raises SystemExit when the server has ended; its code is 0 after a graceful end and 1 when the
    address cannot be bound.
    """
    options = {
        "bind": f"{host}:{port}",
        "workers": 1,
        "worker_class": "gthread",
        "threads": threads,
        "timeout": REQUEST_S,
        "graceful_timeout": GRACE_S,
        "proc_name": "duewise serve",
        "loglevel": "warning",
        "limit_request_line": 4_094,
        "limit_request_fields": 60,
        # Only a proxy on this machine may say that the browser came by https.
        "forwarded_allow_ips": "127.0.0.1,::1",
    }
    _Server(application, options).run()
