"""The schema of operations: Django keeps it and shows it; hot paths use the named SQL of `sql/`.

Columns that end in `_sealed` hold AES-GCM ciphertext (`people`); no other column holds a name, a
number or a text of a borrower. Instants come from the injected clock, never from the database's.

Long because a schema is read best on one page.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from duewise.outbox.envelope import State


class Person(models.Model):
    """The personal side of a borrower: sealed values, and a blind index to look a number up."""

    borrower_id = models.TextField(_("borrower"), primary_key=True)
    name_sealed = models.BinaryField(null=True)
    phone_sealed = models.BinaryField(null=True)
    number_token = models.TextField(_("number token"), null=True, db_index=True)
    salutation_sealed = models.BinaryField(null=True)
    email_sealed = models.BinaryField(null=True)
    push_token_sealed = models.BinaryField(null=True)
    wechat_openid_sealed = models.BinaryField(null=True)
    birth_date_sealed = models.BinaryField(null=True)
    locale = models.TextField(_("locale"), default="zh-CN")
    timezone = models.TextField(_("time zone"), default="Asia/Shanghai")
    region = models.TextField(_("region"), null=True)
    number_state = models.TextField(_("number state"), default="valid")
    is_wrong_party = models.BooleanField(_("wrong party"), default=False)

    class Meta:
        db_table = "person"
        verbose_name = _("person")
        verbose_name_plural = _("people")


class DeadAddress(models.Model):
    """An address, other than a number, at which a provider said that nothing is received any more.

    `token` is the blind index of the address it was said of: another address makes it void.
    """

    borrower_id = models.TextField(_("borrower"))
    channel = models.TextField(_("channel"))
    token = models.TextField(_("address token"))
    at = models.DateTimeField(_("at"))

    class Meta:
        db_table = "dead_address"
        verbose_name = _("dead address")
        verbose_name_plural = _("dead addresses")
        constraints = [
            models.UniqueConstraint(fields=["borrower_id", "channel"], name="dead_address_once")
        ]


class OptOut(models.Model):
    """A borrower's refusal of a channel; withdrawn by a later row with `is_active` false."""

    borrower_id = models.TextField(_("borrower"))
    channel = models.TextField(_("channel"))
    at = models.DateTimeField(_("at"))
    source = models.TextField(_("source"))
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        db_table = "opt_out"
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        constraints = [
            models.UniqueConstraint(fields=["borrower_id", "channel"], name="opt_out_once")
        ]


class Case(models.Model):
    """Something in a borrower's life or account that changes what may be said."""

    borrower_id = models.TextField(_("borrower"), db_index=True)
    kind = models.TextField(_("kind"))  # dispute hardship deceased incapacity bankruptcy plan …
    opened_at = models.DateTimeField(_("opened at"))
    closed_at = models.DateTimeField(_("closed at"), null=True)
    source = models.TextField(_("source"))

    class Meta:
        db_table = "case_file"
        verbose_name = _("case")
        verbose_name_plural = _("cases")


class Promise(models.Model):
    """A day by which a borrower said they would pay. Whether it was kept the ledger says, each day.

    Without a loan it is of all the borrower's; without an amount, of all that is asked for.
    """

    promise_id = models.BigAutoField(_("promise"), primary_key=True)
    ref = models.TextField(unique=True)  # by which the same promise told twice is one
    borrower_id = models.TextField(_("borrower"), db_index=True)
    loan_id = models.TextField(_("loan"), null=True)
    made_at = models.DateTimeField(_("made at"))
    known_at = models.DateTimeField(_("known at"))
    day = models.DateField(_("promised day"))
    amount_minor = models.BigIntegerField(_("amount (minor units)"), null=True)
    currency = models.CharField(_("currency"), max_length=3)
    source = models.TextField(_("source"))  # reply, or who took it down
    reply_id = models.BigIntegerField(_("reply"), null=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)
    cancel_reason = models.TextField(_("cancelled because"), null=True)

    class Meta:
        db_table = "promise"
        verbose_name = _("promise")
        verbose_name_plural = _("promises")


class TemplateApproval(models.Model):
    """What somebody said of a text in exactly one wording. Rows are only ever added."""

    approval_id = models.BigAutoField(primary_key=True)
    template = models.TextField(_("template"), db_index=True)
    content_hash = models.TextField(_("content hash"))
    what = models.TextField(_("said"))  # approved withdrawn
    author = models.TextField(_("author"))
    by = models.TextField(_("by"))
    at = models.DateTimeField(_("at"))
    why = models.TextField(_("because"), default="")

    class Meta:
        db_table = "template_approval"
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")


class Blackout(models.Model):
    """A region in which nobody is told anything for a while. Ended early by `lifted_at`."""

    blackout_id = models.BigAutoField(primary_key=True)
    region = models.TextField(_("region"))
    from_at = models.DateTimeField(_("from"))
    until_at = models.DateTimeField(_("until"))
    reason = models.TextField(_("reason"))
    ordered_at = models.DateTimeField(_("ordered at"))
    lifted_at = models.DateTimeField(_("lifted at"), null=True)

    class Meta:
        db_table = "blackout"
        verbose_name = _("blackout")
        verbose_name_plural = _("blackouts")


class Account(models.Model):
    """Whose loan it is, so that a payment finds its borrower without opening the book."""

    loan_id = models.TextField(_("loan"), primary_key=True)
    borrower_id = models.TextField(_("borrower"), db_index=True)
    currency = models.CharField(_("currency"), max_length=3)

    class Meta:
        db_table = "account"
        verbose_name = _("account")
        verbose_name_plural = _("accounts")


class PaymentEvent(models.Model):
    """A payment or reversal learned since the book's snapshot. Appended, never edited."""

    payment_id = models.TextField(_("payment"), primary_key=True)
    loan_id = models.TextField(_("loan"), db_index=True)
    borrower_id = models.TextField(_("borrower"), db_index=True)
    paid_at = models.DateTimeField(_("paid at"))
    known_at = models.DateTimeField(_("known at"))
    amount_minor = models.BigIntegerField(_("amount (minor units)"))
    currency = models.CharField(_("currency"), max_length=3)
    kind = models.TextField(_("kind"), default="payment")
    reverses = models.TextField(_("reverses"), null=True)
    source = models.TextField(_("source"))

    class Meta:
        db_table = "payment_event"
        verbose_name = _("payment")
        verbose_name_plural = _("payments")


class Feed(models.Model):
    """Up to which instant a source of facts is complete; the ledger's age is counted from it."""

    name = models.TextField(_("feed"), primary_key=True)
    complete_until = models.DateTimeField(_("complete until"))

    class Meta:
        db_table = "feed"
        verbose_name = _("feed")
        verbose_name_plural = _("feeds")


class PlanRun(models.Model):
    """One plan: what was decided on, with the versions and hashes it was decided by."""

    plan_id = models.TextField(_("plan"), primary_key=True)
    as_of = models.DateField(_("as-of date"))
    planned_at = models.DateTimeField(_("planned at"))
    released_at = models.DateTimeField(_("released at"), null=True)
    strategy = models.TextField(_("strategy"))
    strategy_hash = models.TextField(_("strategy hash"))
    rulebook_hash = models.TextField(_("rulebook hash"))
    template_hash = models.TextField(_("template hash"))
    borrowers = models.BigIntegerField(_("borrowers considered"))
    proposals = models.BigIntegerField(_("proposals"))
    held_out = models.BigIntegerField(_("held out"))

    class Meta:
        db_table = "plan_run"
        verbose_name = _("plan")
        verbose_name_plural = _("plans")


class Envelope(models.Model):
    """One outbound message and its state. `key` names the intent, so a second try is the same."""

    envelope_id = models.BigAutoField(_("envelope"), primary_key=True)
    key = models.TextField(_("key"))
    plan_id = models.TextField(_("plan"))
    as_of = models.DateField(_("as-of date"))
    borrower_id = models.TextField(_("borrower"))
    loan_id = models.TextField(_("loan"))
    step = models.TextField(_("step"))
    arm = models.TextField(_("arm"))
    propensity = models.FloatField(_("propensity"))
    stage = models.TextField(_("stage"))
    channel = models.TextField(_("channel"))
    template = models.TextField(_("template"))
    template_hash = models.TextField(_("template hash"))
    amount_minor = models.BigIntegerField(_("amount (minor units)"))
    currency = models.CharField(_("currency"), max_length=3)
    due_date = models.DateField(_("due date"))
    facts = models.JSONField(_("facts"))  # ledger facts at planning; nothing personal
    text_sealed = models.BinaryField(null=True)
    parts = models.SmallIntegerField(_("parts"))
    sender_id = models.TextField(_("sender id"))
    number_token = models.TextField(_("number token"))
    not_before = models.DateTimeField(_("not before"))
    valid_until = models.DateTimeField(_("valid until"))
    lane = models.SmallIntegerField(_("lane"), default=2, db_default=2)  # `outbox.envelope.Lane`
    state = models.TextField(_("state"), choices=[(s.value, s.value) for s in State])
    reason = models.TextField(_("reason"), default="")
    changed_at = models.DateTimeField(_("changed at"))
    attempt = models.SmallIntegerField(_("attempt"), default=0)
    owner = models.BigIntegerField(_("worker"), null=True)
    wired_at = models.DateTimeField(_("on the wire at"), null=True)
    route = models.TextField(_("route"), null=True)  # by which it was put there last
    # The block of what went on the wire with it, the first time it did; and that of the receipts
    # that ended it all at once, none where they came one by one.
    sent_in = models.BigIntegerField(null=True)
    told_in = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        db_table = "envelope"
        verbose_name = _("envelope")
        verbose_name_plural = _("envelopes")
        # Named here, and not by `unique` and `db_index`: those add a second index of each text, for
        # LIKE. No index holds what a move changes, so that it writes into none.
        constraints = [models.UniqueConstraint(fields=["key"], name="envelope_key")]
        indexes = [
            models.Index(fields=["borrower_id"], name="envelope_borrower"),
            models.Index(fields=["loan_id"], name="envelope_loan"),
            # Days come one after the other: blocks of pages are told apart by them.
            BrinIndex(fields=["as_of"], name="envelope_day", pages_per_range=32),
        ]


class Waiting(models.Model):
    """The queue: what is still to be done with envelopes that are ready, held or unknown.

    The database keeps it in step with the envelopes, in the same transaction.
    """

    envelope_id = models.BigIntegerField(primary_key=True)
    state = models.TextField()
    channel = models.TextField()
    lane = models.SmallIntegerField()
    not_before = models.DateTimeField()
    valid_until = models.DateTimeField()

    class Meta:
        db_table = "waiting"
        indexes = [
            models.Index(
                fields=["lane", "not_before", "envelope_id"],
                name="waiting_ready",
                condition=models.Q(state="ready"),
            ),
            # What time may end: validity, a doubt.
            models.Index(fields=["state", "valid_until"], name="waiting_until"),
        ]


class Route(models.Model):
    """What an operator has ordered for a way out. A route without a row is open."""

    name = models.TextField(_("route"), primary_key=True)
    paused_at = models.DateTimeField(_("paused at"), null=True)
    reason = models.TextField(_("reason"), default="")
    free_at = models.DateTimeField(null=True)  # up to when its rate is leased; the machine's time
    # When a route that we left alone by ourselves is tried again; none: an operator resumes it.
    resume_at = models.DateTimeField(_("tried again at"), null=True)
    probes = models.SmallIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "route"
        verbose_name = _("route")
        verbose_name_plural = _("routes")


class Claim(models.Model):
    """The envelopes that a worker took at once: what it held, should it be lost.

    Kept until each of them has its receipt or has waited too long for it.
    """

    claim_id = models.BigAutoField(primary_key=True)
    owner = models.BigIntegerField()
    envelope_ids = ArrayField(models.BigIntegerField())
    at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    # Accepted as a whole, and its envelopes are still to be told so.
    is_answered = models.BooleanField(default=False, db_default=False)
    # A receipt may still come for one of them, as far as anybody has looked.
    is_awaited = models.BooleanField(default=True, db_default=True)

    class Meta:
        db_table = "claim"
        indexes = [
            models.Index(
                fields=["claim_id"],
                name="claim_awaited",
                condition=models.Q(is_awaited=True),
            ),
            models.Index(
                fields=["claim_id"],
                name="claim_answered",
                condition=models.Q(is_answered=True),
            ),
            models.Index(
                fields=["owner"],
                name="claim_unsettled",
                condition=models.Q(settled_at__isnull=True),
            ),
        ]


class EnvelopeChange(models.Model):
    """Every change of an envelope's state, written by the database in the same transaction.

    A view: of rows (`change_row`), and of blocks of what was moved alike. Changes of a block share
    their number.
    """

    change_id = models.BigAutoField(primary_key=True)
    envelope_id = models.BigIntegerField(_("envelope"), db_index=True)
    at = models.DateTimeField(_("at"))
    old_state = models.TextField(_("from"), null=True)
    new_state = models.TextField(_("to"))
    reason = models.TextField(_("reason"))

    class Meta:
        managed = False
        db_table = "envelope_change"
        verbose_name = _("state change")
        verbose_name_plural = _("state changes")


class ChangeBlock(models.Model):
    """A move that many envelopes made at once: those of these that name the block."""

    change_id = models.BigIntegerField(primary_key=True)  # from the sequence of `change_row`
    block_id = models.BigIntegerField()
    at = models.DateTimeField()
    old_state = models.TextField()
    new_state = models.TextField()
    reason = models.TextField()
    envelope_ids = ArrayField(models.BigIntegerField())

    class Meta:
        db_table = "change_block"
        indexes = [models.Index(fields=["block_id"], name="change_block_of")]


class Verdict(models.Model):
    """The guard's word on an envelope at one gate: every rule that fired, the facts it saw.

    A view: of rows (`verdict_row`), and of blocks of what was let go together.
    """

    verdict_id = models.BigAutoField(primary_key=True)
    envelope_id = models.BigIntegerField(_("envelope"), db_index=True)
    gate = models.TextField(_("gate"))  # plan release wire
    at = models.DateTimeField(_("at"))
    outcome = models.TextField(_("outcome"))
    rules = ArrayField(models.TextField(), verbose_name=_("rules"))
    next_allowed_at = models.DateTimeField(_("next allowed at"), null=True)
    rulebook_hash = models.TextField(_("rulebook hash"))
    facts = models.JSONField(_("facts"))

    class Meta:
        managed = False
        db_table = "verdict"
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")


class VerdictBlock(models.Model):
    """What the wire's gate said of envelopes that it let go together, each for the first time."""

    block_id = models.BigIntegerField(primary_key=True)  # from the sequence of `receipt_block`
    at = models.DateTimeField()
    rulebook_hash = models.TextField()
    first_verdict = models.BigIntegerField()
    last_verdict = models.BigIntegerField()
    verdict_ids = ArrayField(models.BigIntegerField())
    envelope_ids = ArrayField(models.BigIntegerField())
    facts = models.TextField()  # a line of JSON for each

    class Meta:
        db_table = "verdict_block"
        indexes = [models.Index(fields=["last_verdict"], name="verdict_block_last")]


class Unsealed(models.Model):
    """Records of verdicts that wait for the sealer: written with them, in one transaction."""

    unsealed_id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(_("at"))
    verdict_ids = ArrayField(models.BigIntegerField(), verbose_name=_("verdicts"))
    body = models.BinaryField()

    class Meta:
        db_table = "unsealed"
        verbose_name = _("unsealed records")
        verbose_name_plural = _("unsealed records")


class AuditBatch(models.Model):
    """A sealed batch of evidence: records, their tree's root, the chain before it, a signature."""

    number = models.BigIntegerField(_("batch"), primary_key=True)
    first = models.BigIntegerField(_("first record"), unique=True)
    records = models.IntegerField(_("records"))
    from_at = models.DateTimeField(_("from"))
    until_at = models.DateTimeField(_("until"))
    verdict_ids = ArrayField(models.BigIntegerField(), verbose_name=_("verdicts"))
    first_verdict = models.BigIntegerField(_("lowest verdict"))
    last_verdict = models.BigIntegerField(_("highest verdict"))
    sealed_at = models.DateTimeField(_("sealed at"))
    root = models.BinaryField()
    previous = models.BinaryField()
    key = models.BinaryField()
    signature = models.BinaryField()
    leaves = models.BinaryField()
    body = models.BinaryField()

    class Meta:
        db_table = "audit_batch"
        verbose_name = _("audit batch")
        verbose_name_plural = _("audit batches")


class Contact(models.Model):
    """A contact that no envelope made: an agency's, a call. Caps count it with our own."""

    contact_id = models.TextField(_("contact"), primary_key=True)
    borrower_id = models.TextField(_("borrower"))
    at = models.DateTimeField(_("at"))
    known_at = models.DateTimeField(_("known at"))
    channel = models.TextField(_("channel"))
    dir = models.TextField(_("direction"))  # out in
    outcome = models.TextField(_("outcome"), null=True)
    stage = models.TextField(_("stage"), null=True)
    actor = models.TextField(_("actor"))  # own, or the agency's name
    number_token = models.TextField(_("number token"), null=True)
    loan_id = models.TextField(_("loan"), null=True)
    flags = ArrayField(models.TextField(), verbose_name=_("flags"))

    class Meta:
        db_table = "contact"
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        indexes = [models.Index(fields=["borrower_id", "at"], name="contact_log")]


class Submission(models.Model):
    """One part of an envelope that the gateway accepted, under the gateway's own id for it.

    Nothing looks one up by its number, so no index holds it.
    """

    submission_id = models.BigAutoField(primary_key=True)
    envelope_id = models.BigIntegerField(_("envelope"), db_index=True)
    route = models.TextField(_("route"))
    provider_id = models.TextField(_("provider id"))
    part = models.SmallIntegerField(_("part"))
    accepted_at = models.DateTimeField(_("accepted at"))

    class Meta:
        db_table = "submission"
        verbose_name = _("submission")
        verbose_name_plural = _("submissions")
        constraints = [
            models.UniqueConstraint(fields=["route", "provider_id"], name="submission_once")
        ]


class RawInbound(models.Model):
    """What callers told, sealed, as it was answered; gone once it is taken in.

    `replies`: how many of it no sender has heeded. `reason`: why it cannot be taken in.
    """

    raw_id = models.BigAutoField(primary_key=True)
    route = models.TextField()
    kind = models.TextField(default="sms", db_default="sms")
    body = models.BinaryField()
    at = models.DateTimeField()
    replies = models.IntegerField(default=1, db_default=1)
    reason = models.TextField(null=True)

    class Meta:
        db_table = "raw_inbound"
        indexes = [
            models.Index(
                fields=["raw_id"],
                name="raw_inbound_unheeded",
                condition=models.Q(replies__gt=0, reason__isnull=True),
            )
        ]


class Receipt(models.Model):
    """What the gateway said later about a submitted part. A receipt said twice is kept once.

    A view: of rows (`receipt_row`), and of blocks of what was told of whole messages at once.
    """

    receipt_id = models.BigAutoField(primary_key=True)
    route = models.TextField(_("route"))
    provider_id = models.TextField(_("provider id"))
    status = models.TextField(_("status"))  # delivered failed expired unknown
    code = models.TextField(_("code"), default="")
    reference = models.TextField(_("reference"), default="")
    at = models.DateTimeField(_("at"))
    envelope_id = models.BigIntegerField(_("envelope"), null=True, db_index=True)

    class Meta:
        managed = False
        db_table = "receipt"
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")


class ReceiptBlock(models.Model):
    """Receipts of one batch that say of whole messages that they are delivered: an array each."""

    block_id = models.BigAutoField(primary_key=True)
    route = models.TextField()
    taken_at = models.DateTimeField()
    receipt_id = models.BigIntegerField()  # one for all, from the sequence of `receipt_row`
    envelope_ids = ArrayField(models.BigIntegerField())
    provider_ids = ArrayField(models.TextField())
    codes = ArrayField(models.TextField())  # one where all are alike; so are `refs`
    refs = ArrayField(models.TextField())
    at_us = ArrayField(models.BigIntegerField())  # microseconds since 1970

    class Meta:
        db_table = "receipt_block"


class Reply(models.Model):
    """An inbound message: sealed text, and what we understood by it."""

    reply_id = models.BigAutoField(primary_key=True)
    borrower_id = models.TextField(_("borrower"), null=True, db_index=True)
    number_token = models.TextField(_("number token"))
    route = models.TextField(_("route"))
    inbound_id = models.TextField(_("inbound id"))
    text_sealed = models.BinaryField()
    intent = models.TextField(_("intent"))
    action = models.TextField(_("action"))
    at = models.DateTimeField(_("at"))
    done_at = models.DateTimeField(_("seen to at"), null=True)
    done_by = models.TextField(_("seen to by"), null=True)

    class Meta:
        db_table = "reply"
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        constraints = [models.UniqueConstraint(fields=["route", "inbound_id"], name="reply_once")]
