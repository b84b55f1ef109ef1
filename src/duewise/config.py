"""The workspace's settings: `duewise.toml`, under the environment. Only `app`, `cli` read it.

Long because every setting is here, with what it means.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from duewise.errors import BadInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE = "duewise.toml"
Licence = Literal["bank", "consumer_finance", "auto_finance", "assisted", "micro_loan", "private"]
LICENCES: tuple[str, ...] = get_args(Licence)
NAME = r"^[a-z][a-z0-9_]{0,30}$"


class _Section(BaseModel):
    """A table of the file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LenderSection(_Section):
    """Who lends: what its messages say of it, and what the rules must know of it."""

    name: str = Field(
        default="示例消费金融", min_length=1, max_length=40, description="Full name of the lender."
    )
    signature: str = Field(
        default="【示例消费金融】",
        min_length=1,
        max_length=30,
        description="The tag an SMS begins with, brackets included.",
    )
    hotline: str = Field(
        default="95123",
        min_length=3,
        max_length=20,
        description="The number to call, as texts give it.",
    )
    app: str = Field(
        default="示例APP",
        min_length=1,
        max_length=20,
        description="The lender's app, as texts call it.",
    )
    licence: Licence = Field(
        default="consumer_finance", description="Class of the lender; price rules depend on it."
    )
    currency: str = Field(
        default="CNY", pattern=r"^[A-Z]{3}$", description="ISO 4217, of amounts and prices."
    )
    credit_report_day: int | None = Field(
        default=None,
        ge=1,
        le=28,
        description="Day of the month on which late loans are reported to the credit register, if"
        " they are; texts name the next one. Without it nobody is told of a report.",
    )


class GuardSection(_Section):
    """By which rules messages are judged: the profile of the place, and the house's own."""

    profiles: tuple[str, ...] = Field(
        default=("CN", "HOUSE"),
        description="Profiles in force; where several speak, the worst wins.",
    )


class LedgerSection(_Section):
    """Where news of payments comes from: pushed to us, or replayed from the book by the clock."""

    feed: Literal["events", "replay"] = Field(
        default="events",
        description="events: payments are pushed; replay: the book's become known in time.",
    )


class SmppSection(_Section):
    """The SMPP account. The password lies in `secrets/smpp` or DUEWISE_SMPP__PASSWORD."""

    host: str = Field(default="127.0.0.1", description="The gateway.")
    port: int = Field(default=2775, ge=1, le=65_535, description="Its SMPP port.")
    system_id: str = Field(default="duewise", max_length=15, description="The account.")
    password: str | None = Field(
        default=None,
        max_length=8,
        repr=False,
        description="Of the account; better kept in secrets/smpp.",
    )
    sender_id: str = Field(
        default="1069000095123", max_length=20, description="What the handset shows."
    )
    line: Literal["fi_dedicated", "service", "marketing"] = Field(
        default="fi_dedicated", description="What the line is licensed for."
    )
    signature_registered: bool = Field(
        default=True, description="Whether signature and templates are registered."
    )
    window: int = Field(
        default=100, ge=1, le=2_000, description="Most submissions without an answer, per link."
    )
    links: int = Field(default=1, ge=1, le=64, description="Binds kept up side by side.")
    binds: Literal["transceiver", "transmitter_and_receiver"] = Field(
        default="transceiver", description="One bind for both directions, or one for each."
    )
    long_texts: Literal["udh", "sar", "payload"] = Field(
        default="udh",
        description="Parts joined by a header, by parameters, or one message_payload.",
    )
    packs_septets: bool = Field(default=False, description="GSM-7 packed, both ways.")
    holds_validity: bool = Field(
        default=True, description="The carrier honours the end of validity that a text names."
    )
    rate_per_s: float | None = Field(
        default=None,
        gt=0,
        description="Most parts a second, of all workers together; none: no limit.",
    )
    echoes_reference: bool = Field(default=False, description="Receipts carry our reference.")
    receipt_horizon_s: int = Field(
        default=72 * 3_600, ge=60, description="Accepted and no receipt for so long: unknown."
    )
    resend_unknown_after_s: int | None = Field(
        default=None,
        ge=60,
        description="Only if every acceptance gets a receipt with our reference.",
    )
    weight: float = Field(
        default=1.0,
        ge=0,
        le=1_000,
        description="Its share beside others of its kind; 0: a standby.",
    )
    price_per_part: float = Field(
        default=0.05, ge=0, description="In major units; for reports, and weights that are learned."
    )

    @property
    def login(self) -> str:
        """What the gateway knows the account by."""
        return self.system_id


class CmppSection(_Section):
    """The CMPP account. The secret lies in `secrets/cmpp` or DUEWISE_CMPP__PASSWORD."""

    host: str = Field(default="127.0.0.1", description="The gateway.")
    port: int = Field(default=7890, ge=1, le=65_535, description="Its CMPP port.")
    version: Literal["2.0", "3.0"] = Field(default="2.0", description="What the gateway speaks.")
    source_addr: str = Field(default="901234", max_length=6, description="The account (SP_Id).")
    password: str | None = Field(
        default=None,
        max_length=64,
        repr=False,
        description="The shared secret; better kept in secrets/cmpp.",
    )
    service_id: str = Field(default="", max_length=10, description="The service that is billed.")
    sender_id: str = Field(
        default="1069000095123", max_length=21, description="What the handset shows."
    )
    line: Literal["fi_dedicated", "service", "marketing"] = Field(
        default="fi_dedicated", description="What the line is licensed for."
    )
    signature_registered: bool = Field(
        default=True, description="Whether signature and templates are registered."
    )
    window: int = Field(
        default=16, ge=1, le=2_000, description="Most submissions without an answer, per link."
    )
    links: int = Field(default=1, ge=1, le=64, description="Connections kept up side by side.")
    holds_validity: bool = Field(
        default=True, description="The carrier honours the end of validity that a text names."
    )
    rate_per_s: float | None = Field(
        default=None, gt=0, description="Most submissions a second; none: no limit."
    )
    receipt_horizon_s: int = Field(
        default=72 * 3_600, ge=60, description="Accepted and no receipt for so long: unknown."
    )
    weight: float = Field(
        default=1.0,
        ge=0,
        le=1_000,
        description="Its share beside others of its kind; 0: a standby.",
    )
    price_per_part: float = Field(
        default=0.05, ge=0, description="In major units; for reports, and weights that are learned."
    )

    @property
    def login(self) -> str:
        """What the gateway knows the account by."""
        return self.source_addr


class AccountSection(BaseModel):
    """An account at a provider that is asked over HTTP or by mail, under a name of your choice.

    `provider` says which, and whose own settings stand beside these ([channels](channels.md)). A
    secret never stands here: it lies in `secrets/NAME.SETTING`, or in its variable.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    provider: str = Field(
        default="", min_length=1, description="Its name, as an entry point of `duewise.channels`."
    )
    sender_id: str = Field(default="", max_length=200, description="What the borrower sees.")
    line: Literal["fi_dedicated", "service", "marketing"] = Field(
        default="fi_dedicated", description="What the line is licensed for."
    )
    signature_registered: bool = Field(
        default=True, description="Whether signature and templates are registered."
    )
    rate_per_s: float | None = Field(
        default=None, gt=0, description="Most messages a second, of all workers; none: no limit."
    )
    receipt_horizon_s: int = Field(
        default=72 * 3_600, ge=60, description="Accepted and no receipt for so long: unknown."
    )
    weight: float = Field(
        default=1.0,
        ge=0,
        le=1_000,
        description="Its share beside others of its kind; 0: a standby.",
    )
    price_per_part: float = Field(
        default=0.05, ge=0, description="In major units; for reports, and weights that are learned."
    )

    @property
    def own(self) -> dict[str, Any]:
        """The provider's own settings."""
        return dict(self.model_extra or {})


Names = str | tuple[str, ...]


class RoutesSection(_Section):
    """By which accounts each kind of message leaves, texts aside; none: it stays until it lapses.

    Several share the kind by their `weight`; where one is out, the others take what waits for it.
    """

    sms: tuple[str, ...] = Field(
        default=(), description="Accounts that share the texts with carrier, or go on without it."
    )
    push: Names | None = Field(default=None, description="The accounts of push messages.")
    wechat: Names | None = Field(default=None, description="The accounts of WeChat messages.")
    email: Names | None = Field(default=None, description="The accounts of emails.")
    weights: Literal["given", "auto"] = Field(
        default="given",
        description="auto: by what routes delivered, cost and took in the last seven days.",
    )

    def names_of(self, kind: str) -> tuple[str, ...]:
        """The accounts of a kind, in the order they are given."""
        named: Names | None = getattr(self, kind)
        return (named,) if isinstance(named, str) else named or ()


class HooksSection(_Section):
    """Where `duewise receive` is called by providers: receipts and replies over HTTP.

    A proxy in front ends the TLS. `public_url` is its address, as providers are told it.
    """

    host: str = Field(default="127.0.0.1", description="Where to listen.")
    port: int = Field(default=8010, ge=0, le=65_535, description="Where to listen.")
    public_url: str | None = Field(
        default=None, description="Where providers call, https://…; none: nobody is told to."
    )


class WebSection(_Section):
    """Console and API. `tokens` maps a caller's name to the SHA-256 of its bearer token."""

    host: str = Field(default="127.0.0.1", description="Where to listen.")
    port: int = Field(default=8000, ge=1, le=65_535, description="Where to listen.")
    language: Literal["zh-hans", "en"] = Field(
        default="zh-hans", description="Of the console, until an operator chooses."
    )
    threads: int = Field(default=4, ge=1, le=64, description="Requests served side by side.")
    tls: bool = Field(default=False, description="Browsers come by https, ended by a proxy.")
    allowed_hosts: tuple[str, ...] = Field(
        default=("127.0.0.1", "localhost"), description="Names the console answers to."
    )
    tokens: dict[str, str] = Field(
        default_factory=dict, description="Name of an API caller to SHA-256 of its token."
    )


Account = SmppSection | CmppSection | AccountSection


class Config(BaseSettings):
    """Everything that can be set. DUEWISE_SECTION__KEY in the environment beats the file."""

    model_config = SettingsConfigDict(
        env_prefix="DUEWISE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    database_url: str | None = Field(
        default=None, repr=False, description="A PostgreSQL server; none: our own is started."
    )
    strategy: Path = Field(default=Path("strategy.yaml"), description="The strategy file.")
    templates: Path = Field(
        default=Path("templates"), description="Folder of the lender's own texts."
    )
    profiles: Path = Field(
        default=Path("profiles"), description="Folder of the lender's own rules."
    )
    products: Path = Field(
        default=Path("products.yaml"),
        description="The product file; where there is none, the loans' own terms hold.",
    )
    book: Path = Field(default=Path("book"), description="The book.")
    carrier: str = Field(
        default="smpp",
        description="The account that text messages go through: smpp, cmpp, or one of accounts.",
    )
    lender: LenderSection = LenderSection()
    guard: GuardSection = GuardSection()
    ledger: LedgerSection = LedgerSection()
    smpp: SmppSection = SmppSection()
    cmpp: CmppSection = CmppSection()
    accounts: dict[Annotated[str, Field(pattern=NAME)], AccountSection] = Field(
        default_factory=dict, description="Accounts at providers, each a table of its own."
    )
    routes: RoutesSection = RoutesSection()
    web: WebSection = WebSection()
    hooks: HooksSection = HooksSection()

    @property
    def account(self) -> Account:
        """The account that text messages go through."""
        return self.account_of(self.carrier)

    def account_of(self, name: str) -> Account:
        """An account by its name. Raises BadInput for one that nobody set up."""
        known: dict[str, Account] = {"smpp": self.smpp, "cmpp": self.cmpp, **self.accounts}
        if name not in known:
            raise BadInput(f"no account {name!r}", mend=f"one of {', '.join(known)}")
        return known[name]

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """Each kind of message, and an account that it leaves by; texts first."""
        texts = [("sms", name) for name in (self.carrier, *self.routes.sms)]
        return texts + [
            (kind, name)
            for kind in ("push", "wechat", "email")
            for name in self.routes.names_of(kind)
        ]

    @property
    def route_names(self) -> tuple[str, ...]:
        """The accounts that something leaves by: that of texts first, none twice."""
        return tuple(dict.fromkeys(name for _, name in self.chosen))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then what was read from the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load_config(workspace: Path) -> Config:
    """The settings of a workspace. Raises BadInput naming file, key and mend."""
    path = workspace / FILE
    text = _read(path)
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        said = str(error)[: place.start()] if place else str(error)
        line = int(place[1]) if place else None
        raise BadInput(said, source=str(path), line=line, mend="write TOML") from error
    try:
        return Config(**values)
    except ValidationError as error:
        raise _refusal(error.errors()[0], path, text) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8", source=str(path), mend="save it as UTF-8") from error


def _refusal(found: ErrorDetails, path: Path, text: str) -> BadInput:
    """What is wrong with a setting, said of the place it was read from."""
    key = tuple(str(part) for part in found["loc"] if isinstance(part, str))
    variable = f"DUEWISE_{'__'.join(key)}".upper()
    source, line = (variable, None) if variable in os.environ else (str(path), _line_of(key, text))
    if found["type"] == "extra_forbidden":
        known = ", ".join(_fields_of(key[:-1]))
        message, mend = f"unknown setting {'.'.join(key)!r}", f"known here: {known}"
    else:
        message, mend = f"setting {'.'.join(key)!r}: {found['msg']}", _meaning_of(key)
    return BadInput(message, source=source, line=line, mend=mend)


def _fields_of(section: tuple[str, ...]) -> Mapping[str, FieldInfo]:
    if section[:1] == ("accounts",):  # below them each lender's names, then the same fields
        return AccountSection.model_fields
    fields = Config.model_fields
    for name in section:
        model = fields[name].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        fields = model.model_fields
    return fields


def _meaning_of(key: tuple[str, ...]) -> str:
    field = _fields_of(key[:-1]).get(key[-1])
    if field is None:
        return "name an account in small letters, digits and underscores"
    return f"it means: {field.description or 'a table of settings'} Default: {field.default!r}"


def _line_of(key: tuple[str, ...], text: str) -> int | None:
    """Where the file sets a key: in the key's own table, for others may use the same name."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if head := re.match(r"\s*\[([\w.]+)\]", line):
            table = tuple(head[1].split("."))
            if table == key:
                return number
        elif (*table, line.partition("=")[0].strip()) == key:
            return number
    return None
