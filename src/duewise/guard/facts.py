"""Every fact a rule may ask for: its type, its meaning, and who supplies it.

A fact is a column of the same name. A missing column and a null mean the same: not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from duewise.frames import INSTANT

MINOR_PER_MAJOR = 100


class Kind(StrEnum):
    """How a fact is held in a frame."""

    BOOL = "bool"
    TEXT = "text"
    SET = "set"
    AMOUNT = "amount"
    NUMBER = "number"
    INSTANT = "instant"
    DATE = "date"


DTYPES: Mapping[Kind, pl.DataType] = {
    Kind.BOOL: pl.Boolean(),
    Kind.TEXT: pl.String(),
    Kind.SET: pl.List(pl.String()),
    Kind.AMOUNT: pl.Int64(),
    Kind.NUMBER: pl.Float64(),
    Kind.INSTANT: INSTANT,
    Kind.DATE: pl.Date(),
}

# At which gates a supplier is asked afresh. What is not asked again travels with the envelope.
GATES: Mapping[str, tuple[str, ...]] = {
    "clock": ("plan", "release", "wire"),
    "ledger": ("plan", "release", "wire"),
    "case desk": ("plan", "release", "wire"),
    "consent register": ("plan", "release", "wire"),
    "contact register": ("plan", "release", "wire"),
    "contact log": ("plan", "release", "wire"),
    "audit log": ("plan", "release", "wire"),
    "channel adapter": ("plan", "wire"),
    "template registry": ("plan", "release"),
    "planner": ("plan",),
    "renderer": ("plan",),
    "pricing": ("plan",),
    "tenant settings": ("plan",),
    "guard": ("plan", "release", "wire"),
}


@dataclass(frozen=True)
class Fact:
    """One fact. Amounts are whole minor units; numbers may have decimals."""

    name: str
    kind: Kind
    meaning: str
    supplier: str

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates at which its supplier is asked afresh."""
        return GATES[self.supplier]

    @property
    def dtype(self) -> pl.DataType:
        return DTYPES[self.kind]


_TABLE = """
now                            instant  hand-off to the carrier | clock
actor.fdcpa_collector          bool     sender is a debt collector under the FDCPA | tenant settings
actor.own_employee             bool     collection by the lender's own employees | tenant settings
actor.sg_licensed              bool     agency licensed in Singapore | tenant settings
msg.stage                      text     purpose of the contact | planner
msg.channel                    text     channel | planner
msg.statutory_basis            text     enactment that requires the notice | planner
msg.text                       text     rendered text, variables filled | renderer
msg.elements                   set      what the text contains | renderer
msg.disclosed                  set      what a third party would learn | renderer
msg.claims                     set      consequences the text asserts | renderer
msg.optout_text                bool     carries words such as 拒收请回复R | renderer
msg.amount                     amount   amount quoted; may be absent | renderer
msg.url                        text     link in the text; may be absent | renderer
msg.preview_shows_debt         bool     the preview on a locked screen reveals a debt | renderer
msg.promo                      bool     carries promotion | template registry
msg.url_icp                    bool     the link's domain is filed | template registry
msg.url_short                  bool     short or redirecting link | template registry
msg.url_in_var                 bool     link inside a variable | template registry
msg.url_whitelisted            bool     link on the white list | template registry
msg.sig_registered             bool     signature filed under the real name | template registry
msg.template_ok                bool     template approved at this carrier | template registry
msg.dlt_header                 bool     registered header | template registry
msg.dlt_template               bool     registered template | template registry
msg.port                       text     class of the sending number | channel adapter
msg.route                      text     route of the sending number | channel adapter
msg.validity_ctl               bool     validity ends in the window, kept to | channel adapter
msg.corporate_sender           bool     sent from the lender's own number | channel adapter
msg.since_optout_s             number   seconds since the opt-out this confirms | consent register
to.role                        text     who is addressed | contact register
to.tz                          set      candidate zones of the addressee | contact register
to.number                      text     token of the address | contact register
to.number_state                text     reachability of the number | contact register
to.wrong_party                 bool     known not to be the addressee | contact register
to.address_kind                text     personal or work | contact register
to.text_basis                  text     address procedure met, 12 CFR 1006.6(d) | contact register
acct.debt                      text     token of the debt | ledger
acct.due_date                  date     contractual due date of the instalment | ledger
acct.due_roll                  text     roll clause of the contract | ledger
acct.grace_days                number   days of grace after the due date | ledger
acct.tolerance                 amount   shortfall that counts as paid | ledger
acct.amount_due                amount   due | ledger
acct.paid                      amount   received against it | ledger
acct.pay_pending               bool     a payment is in flight | ledger
acct.ledger_age_s              number   seconds since the balance was read | ledger
acct.time_barred               bool     limitation period expired | ledger
acct.lender_class              text     licence class of the lender | tenant settings
acct.penalty_mult              number   penalty rate over contract rate | pricing
acct.apr_total                 number   all-in cost, % a year | pricing
acct.cap_4lpr                  number   four times LPR at contract date, % a year | pricing
case.dispute_open              bool     dispute open | case desk
case.verification_sent         bool     verification sent | case desk
case.plan                      text     personalised instalment agreement | case desk
case.plan_kept                 bool     agreement kept so far | case desk
case.hardship_pending          bool     hardship request undecided | case desk
case.bankruptcy                text     none, or how far it has come | case desk
case.breathing_space           text     none, standard or crisis | case desk
case.deceased                  bool     borrower dead | case desk
case.blackout                  bool     the region is under a blackout, or is not known | case desk
case.incapacity                bool     limited or no capacity | case desk
case.life_event                text     none, or what befell the borrower | case desk
case.outsourced                bool     with an agency | case desk
case.outsourcing_notified      bool     borrower told of the agency | case desk
case.true_claims               set      consequences that are true and documented | case desk
case.cease_request             bool     written cease or refusal | case desk
case.represented               bool     has an attorney | case desk
case.contact_refused           bool     the contact person objected | case desk
case.contact_offered_to_pay    bool     the contact person offered to pay | case desk
case.forbearance_considered    bool     considered before enforcement | case desk
case.in_inconvenient_window    bool     a time the borrower called inconvenient | consent register
case.inconvenient_place        bool     a place the borrower called inconvenient | consent register
case.employer_prohibits        bool     the employer forbids contact at work | consent register
case.work_email_ok             bool     work mailbox permitted | consent register
case.number_invalid            bool     number dead | contact register
case.contract_unreachable      bool     unreachable as the contract defines it | contact register
case.failed_consec             number   consecutive failed calls | contact log
case.last_failed_before_today  bool     the last of them before the local date | contact log
case.days_unreachable          number   days without contact | contact log
case.debtor_reachable          bool     borrower reachable again | contact log
case.location_contacts_made    number   location-information contacts made | contact log
case.spoke_about_debt          bool     spoke with the borrower | contact log
case.days_since_letter         number   days since a letter that did not bounce | contact log
case.prenotice_sent            bool     bureau pre-notice sent | audit log
case.prenotice_days            number   days since the pre-notice | audit log
consent.night_contact          bool     agreed to contact at night | consent register
consent.time_consent           bool     agreed to contact outside hours | consent register
consent.call_attempts_agreed   bool     agreed to more call attempts | consent register
consent.direct_consent_7d      bool     direct consent within seven days | consent register
consent.marketing              bool     express consent to marketing | consent register
consent.marketing_optout       bool     refusal of marketing | consent register
consent.channel_optout         set      channels the borrower stopped | consent register
rec.decision_logged            bool     decision record written before the send | audit log
rec.recording_on               bool     call recording running | channel adapter
history                        bool     the contact log was read (null: it was not) | contact log
d.due_eff                      date     due date after the roll | guard
d.shortfall                    amount   due less paid | guard
d.dpd                          number   days past the rolled due date, never negative | guard
d.is_overdue                   bool     past grace, by more than the tolerance | guard
d.msg_amount_ok                bool     no amount quoted, or the right one | guard
d.local_hm                     text     HH:MM of now in the profile's zone | guard
"""


def _read(line: str) -> Fact:
    name, kind, rest = line.split(maxsplit=2)
    meaning, _, supplier = rest.partition(" | ")
    return Fact(name, Kind(kind), meaning, supplier)


FACTS: Mapping[str, Fact] = {fact.name: fact for fact in map(_read, _TABLE.strip().splitlines())}
