"""The composition root: where clock, settings, secrets, database and stages are put together.

Nothing else reads the machine's time or the settings; everything else takes them as arguments.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as datetime_time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from duewise.config import FILE, LICENCES, Config, load_config
from duewise.errors import BadInput, DuewiseError
from duewise.times import Clock, ManualClock, parse_instant

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

    from duewise.accounts import Line
    from duewise.book.product import Products
    from duewise.channels.base import Channel
    from duewise.guard.rule import Rulebook
    from duewise.jobs.deliver import DeliverySettings
    from duewise.jobs.tenant import Tenant
    from duewise.jobs.ways import Ways
    from duewise.message.template import Sender, Template
    from duewise.store.audit import Signer
    from duewise.store.book import Book
    from duewise.store.seal import Keyring
    from duewise.web.services import Services

CLOCK_RATE_MAX = 1_000_000
ZONE = "Asia/Shanghai"  # of the demo


class SystemClock:
    """The machine's own time, or time that starts where it is told to and runs at a rate."""

    def __init__(
        self, start: datetime | None = None, rate: float = 1.0, *, since: float | None = None
    ) -> None:
        """`since`: the machine's time (Unix seconds) at which `start` was; default now."""
        ran = 0.0 if since is None else time.time() - since
        self._began = time.monotonic() - ran
        self._start, self._rate = start, rate

    def now(self) -> datetime:
        if self._start is None:
            return datetime.now(UTC)
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._rate)

    async def sleep(self, seconds: float) -> None:
        """Wait in this clock's seconds."""
        await asyncio.sleep(max(seconds, 0.0) / self._rate)


def parse_clock(spec: str | None) -> Clock:
    """`INSTANT`, `INSTANT*RATE` or `INSTANT*RATE@SINCE`; None is the machine's time.

    `2017-06-15T09:00+08:00*600@1511179200` was nine o'clock at that Unix second and runs 600 times
    faster since: processes that are given the same text have the same time. Raises BadInput.
    """
    if spec is None:
        return SystemClock()
    text, _, since = spec.partition("@")
    instant, _, rate = text.partition("*")
    mend = "write --clock 2017-06-15T09:00+08:00, or 2017-06-15T09:00+08:00*600@$(date +%s)"
    try:
        start, factor = parse_instant(instant), float(rate or 1)
        began = float(since) if since else None
        clock = SystemClock(start, factor, since=began)
        clock.now()
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{spec!r} is no clock", source="--clock", mend=mend) from error
    if not 0 < factor <= CLOCK_RATE_MAX:
        raise BadInput(f"a rate of {factor} is too fast or too slow", source="--clock", mend=mend)
    return clock


def pinned(spec: str) -> str:
    """The same clock for processes that start one after the other: it says since when it runs."""
    rate = "" if "*" in spec else "*1"
    return spec if "@" in spec else f"{spec}{rate}@{time.time()}"


@dataclass(frozen=True)
class App:
    """A workspace with its settings and clock; what it needs is made on first use."""

    workspace: Path
    config: Config
    clock: Clock

    @cached_property
    def keyring(self) -> Keyring:
        """The keys that seal personal data, made on first use."""
        from duewise.store.seal import load_keyring

        return load_keyring(self.workspace / "secrets", random_bytes=os.urandom)

    @cached_property
    def signer(self) -> Signer:
        """The key that signs evidence, made on first use."""
        from duewise.store.audit import load_signer

        return load_signer(self.workspace / "secrets", random_bytes=os.urandom)

    @cached_property
    def templates(self) -> dict[str, Template]:
        """The shipped templates, and the workspace's own over them."""
        from duewise.message.template import SHIPPED, load_templates

        own = self.workspace / self.config.templates
        return load_templates((SHIPPED, own) if own.is_dir() else (SHIPPED,))

    @cached_property
    def sender(self) -> Sender:
        """Who speaks in the messages."""
        from duewise.message.template import SENDER_NAMES, Sender

        return Sender(**{name: getattr(self.config.lender, name) for name in SENDER_NAMES})

    @cached_property
    def tenant(self) -> Tenant:
        """Strategy, texts, rules and settings of the lender, checked."""
        return self.tenant_with(self.workspace / self.config.strategy)

    def tenant_with(self, strategy: Path) -> Tenant:
        """The tenant under another strategy file. Raises BadInput."""
        from duewise.accounts import kinds_held, rates_of
        from duewise.engine.facts import LenderFacts
        from duewise.jobs.tenant import Tenant
        from duewise.message.choose import stages_of
        from duewise.money import to_minor
        from duewise.strategy.plan import load_strategy

        self._be_a_workspace()
        config = self.config
        try:
            chosen = load_strategy(strategy, templates=stages_of(self.templates))
        except UnicodeDecodeError as error:
            raise BadInput("not UTF-8", source=str(strategy), mend="save it as UTF-8") from error
        return Tenant(
            workspace=self.workspace,
            strategy=chosen,
            templates=self.templates,
            sender=self.sender,
            rulebook=self.rulebook(),
            products=self.products(),
            lender=LenderFacts(
                licence=config.lender.licence,
                port=config.account.line,
                is_signature_registered=config.account.signature_registered,
                credit_report_day=config.lender.credit_report_day,
                holds_validity=kinds_held(config),
            ),
            keyring=self.keyring,
            sender_id=config.account.sender_id,
            currency=config.lender.currency,
            price_per_part_minor=to_minor(
                str(config.account.price_per_part), config.lender.currency
            ),
            rates=rates_of(config),
        )

    def products(self, path: Path | None = None) -> Products:
        """The lender's products: of the named file, of the workspace's, or those that ship."""
        from duewise.book.product import load_products, shipped_products

        own = self.workspace / self.config.products
        if path is None and not own.exists():
            return shipped_products()
        return load_products(path or own)

    def rulebook(self, names: Sequence[str] = ()) -> Rulebook:
        """The rules in force, or those of these profiles; the workspace has its own among them."""
        from duewise.guard.profile import load_rulebook

        try:
            return load_rulebook(
                names or self.config.guard.profiles, directories=self.profile_folders
            )
        except BadInput as error:
            source = error.source or ("--profile" if names else str(self.workspace / FILE))
            raise BadInput(error.message, source=source, line=error.line, mend=error.mend) from None

    @property
    def has_workspace(self) -> bool:
        """Whether there is a workspace, and so operations that know of payments."""
        return (self.workspace / FILE).exists()

    @property
    def profile_folders(self) -> tuple[Path, ...]:
        """Where the workspace keeps profiles, calendars and word lists of its own."""
        own = self.workspace / self.config.profiles
        return (own,) if own.is_dir() else ()

    def _be_a_workspace(self) -> None:
        if not self.has_workspace:
            raise BadInput(
                "this is no workspace", source=str(self.workspace), mend="run `duewise init DIR`"
            )

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The DSN of the operations database, for as long as the block runs.

        Its schema is brought up to date first, unless the caller does so (the web has more of it).
        """
        from duewise.store.schema import migrate
        from duewise.store.server import running_server

        self._be_a_workspace()
        with running_server(self.workspace, database_url=self.config.database_url) as dsn:
            if migrated:
                migrate(dsn)
            yield dsn

    def connect(self, dsn: str) -> AbstractContextManager[Connection[Any]]:
        """A connection on which every statement or `conn.transaction()` block commits by itself."""
        from duewise.store.connection import connect

        return connect(dsn, autocommit=True)

    def connector(self, dsn: str) -> Callable[[], Awaitable[AsyncConnection[Any]]]:
        """How a worker gets a session of its own."""
        from duewise.store.connection import connect_async

        return lambda: connect_async(dsn, autocommit=True)

    def book(self, path: Path | None = None) -> Book:
        """The book of the workspace, or another one."""
        from duewise.store.book import open_book

        return open_book(path or self.workspace / self.config.book)

    def channel(self, *, port: int | None = None) -> Channel:
        """The account of text messages, or the same at another port."""
        from duewise.accounts import channel_of

        return channel_of(self.config.carrier, self.workspace, self.config, self.clock, port=port)

    @property
    def lines(self) -> list[Line]:
        """What leaves by which account: texts first, then each other kind that has one."""
        from duewise.accounts import lines_of

        return lines_of(self.workspace, self.config, self.clock)

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of the routes that the settings know."""
        return self.config.route_names

    @property
    def ways(self) -> dict[str, Ways]:
        """Each kind of message that has routes, and these with weights and prices."""
        from duewise.accounts import ways_of

        return {kind: ways_of(kind, self.config) for kind, _ in self.config.chosen}

    @property
    def delivery(self) -> DeliverySettings:
        """When a doubt about a text message may end."""
        from duewise.accounts import delivery_of

        return delivery_of(self.config.carrier, self.config)

    def services(self, dsn: str) -> Services:
        """What the web process is handed."""
        from duewise.jobs.ingest import PaymentIn, RecordResult, record_payments
        from duewise.jobs.promises import PromiseIn, Taken, record_promises
        from duewise.jobs.replan import replan_held
        from duewise.store.connection import connect
        from duewise.web.services import Services

        def record_and_replan(
            conn: Connection[Any], payments: Sequence[PaymentIn], *, now: datetime
        ) -> RecordResult:
            """Held at once, and planned again in the same transaction: its locks keep senders off.

            What cannot be planned now stays held, and the sender's next pass plans it.
            """
            result = record_payments(conn, payments, now=now)
            replan(conn, result.held, now=now)
            return result

        def promise_and_replan(
            conn: Connection[Any], promises: Sequence[PromiseIn], *, now: datetime
        ) -> Taken:
            """In like manner."""
            taken = record_promises(conn, promises, tenant=self.tenant, now=now)
            replan(conn, taken.held, now=now)
            return taken

        def replan(conn: Connection[Any], held: int, *, now: datetime) -> None:
            if held:
                with suppress(DuewiseError), conn.transaction():
                    replan_held(conn, self.book(), self.tenant, now=now)

        return Services(
            clock=self.clock,
            connect=lambda: connect(dsn),
            keyring=self.keyring,
            workspace=self.workspace,
            record_payments=record_and_replan,
            record_promises=promise_and_replan,
            api_tokens=self.config.web.tokens,
            timezone=self.tenant.strategy.timezone,
        )


def open_app(workspace: Path, *, clock: str | None = None) -> App:
    """The application of a workspace folder. Raises BadInput for settings that are wrong."""
    return App(workspace.resolve(), load_config(workspace), parse_clock(clock))


def demo_app(folder: Path, first: date) -> App:
    """A new workspace for the demo, on a clock set by hand to the evening before its first day."""
    new_workspace(folder)
    config = load_config(folder)
    ledger = config.ledger.model_copy(update={"feed": "events"})
    evening = datetime.combine(first - timedelta(days=1), datetime_time(20), ZoneInfo(ZONE))
    # Its people are invented: they never go into a lender's database, whatever the environment says
    config = config.model_copy(update={"ledger": ledger, "database_url": None})
    return App(folder.resolve(), config, ManualClock(evening))


def new_workspace(folder: Path, *, book: Path | None = None, licence: str | None = None) -> None:
    """Lay out a workspace: settings, strategy, folders for own templates and profiles, secrets.

    Raises BadInput where one already is.
    """
    from importlib import resources

    from duewise.store.files import private_folder, write_atomically

    if (folder / FILE).exists():
        raise BadInput("a workspace is here already", source=str(folder), mend="choose another DIR")
    if licence not in (None, *LICENCES):
        mend = f"one of {', '.join(LICENCES)}"
        raise BadInput(f"unknown class of lender {licence!r}", source="--licence", mend=mend)
    for name in ("templates", "profiles"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    text = resources.files("duewise").joinpath("workspace.toml").read_text(encoding="utf-8")
    if licence:
        text = text.replace('licence = "consumer_finance"', f'licence = "{licence}"')
    if book:
        text = text.replace('book = "book"', f'book = "{book}"')
    strategy = resources.files("duewise.strategy").joinpath("strategies/cn-instalment-loan.yaml")
    password = private_folder(folder / "secrets") / "smpp"
    write_atomically(password, secrets.token_hex(4).encode(), mode=0o600)
    write_atomically(folder / "strategy.yaml", strategy.read_bytes())
    write_atomically(folder / FILE, text.encode())


def run_web(
    app: App, dsn: str, *, host: str, port: int, admin: str | None, say: Callable[[str], None]
) -> None:
    """Serve console and API until told to stop. `admin` becomes an administrator first."""
    from duewise.store.files import write_atomically
    from duewise.web.server import serve
    from duewise.web.settings import web_settings
    from duewise.web.wsgi import build_wsgi, make_operator, migrate

    key = app.workspace / "secrets" / "django"
    if not key.exists():
        write_atomically(key, secrets.token_urlsafe(50).encode(), mode=0o600)
    web = app.config.web
    settings = web_settings(
        dsn=dsn,
        secret_key=key.read_text(encoding="utf-8"),
        language=web.language,
        time_zone=app.tenant.strategy.timezone,
        allowed_hosts=web.allowed_hosts,
        tls=web.tls,
    )
    application = build_wsgi(settings, app.services(dsn))
    migrate(dsn)
    if admin:
        password = secrets.token_urlsafe(12)
        make_operator(admin, password)
        say(f"Sign in as {admin} with {password} (said once; change it after signing in).")
    say(f"Console http://{host}:{port}/  API http://{host}:{port}/api/v1/docs")
    serve(application, host=host, port=port, threads=web.threads)
