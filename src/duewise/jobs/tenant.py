"""What the jobs are told about the lender: its strategy, texts, rules and settings. Frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from duewise.book.product import Products
from duewise.channels.base import Capabilities
from duewise.engine.facts import LenderFacts
from duewise.guard.rule import Rulebook
from duewise.jobs.versions import earlier_versions
from duewise.message.template import Sender, Template
from duewise.strategy.plan import Strategy

if TYPE_CHECKING:
    from duewise.store.seal import Keyring


@dataclass(frozen=True)
class Tenant:
    """One lender's post-loan desk. `price_per_part_minor` is what one SMS part costs.

    `rates` are the parts a second that each kind of message can leave at, where that is limited.
    """

    workspace: Path
    strategy: Strategy
    templates: Mapping[str, Template]
    sender: Sender
    rulebook: Rulebook
    lender: LenderFacts
    products: Products
    keyring: Keyring
    sender_id: str
    currency: str
    price_per_part_minor: int
    rates: Mapping[str, float] = field(default_factory=dict)

    def by(self, can: Capabilities) -> Tenant:
        """The same, where the route is known: what it can do is what the guard is told."""
        holds = (can.carries,) if can.holds_validity else ()
        return replace(self, lender=replace(self.lender, holds_validity=holds))

    @cached_property
    def template_hash(self) -> str:
        """One hash over all templates, to say by which texts a plan was made."""
        hashes = sorted(template.content_hash for template in self.templates.values())
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    @cached_property
    def required_steps(self) -> frozenset[str]:
        """The steps whose notices contract or law demand, of any version that borrowers are on."""
        versions = (self.strategy, *self.earlier)
        return frozenset(step.name for each in versions for step in each.steps if step.required)

    @cached_property
    def earlier(self) -> tuple[Strategy, ...]:
        """The versions with sticky steps that were in force before, the latest first."""
        return earlier_versions(self.workspace, self.templates, but=self.strategy.content_hash)
