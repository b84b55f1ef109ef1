"""Every CN and HOUSE rule that gates a text before, on or after the due date: a firing, a boundary.

A line lays its facts over a message of that stage that may go (`STAGES` over the first base of
guard_cases.yaml) and says what is decided and by which rules; `~` is a fact that is missing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from duewise.guard.case_file import CaseFile, read_cases
from duewise.guard.cases import CheckVerdict, run_cases
from duewise.guard.profile import load_rulebook

BEFORE = """msg.port: service, acct.due_date: "2026-08-14",
  msg.elements: [sender_identity, amount_or_pointer, due_date, pay_route, official_contact]"""
STAGES = {"overdue": "", "pre_due": BEFORE, "due_day": BEFORE}
TABLE = """
overdue  allow   -                              {}
overdue  defer   CN-HRS-01                      {now: "2026-08-12T23:00:00+08:00"}
overdue  allow   -                              {now: "2026-08-12T23:00:00+08:00", consent.night_contact: true}
overdue  defer   CN-HRS-03                      {now: "2026-08-12T21:31:00+08:00", msg.validity_ctl: ~}
overdue  allow   -                              {now: "2026-08-12T21:30:00+08:00", msg.validity_ctl: ~}
overdue  block   CN-DUE-01                      {now: ~, consent.night_contact: true}
overdue  block   CN-3P-01                       {to.role: spouse}
overdue  allow   -                              {to.role: guarantor, case.deceased: ~}
overdue  review  CN-3P-07                       {to.role: heir}
overdue  block   CN-3P-01,CN-DEC-01             {to.role: ~, case.deceased: true}
overdue  block   CN-ID-01,CN-TXT-05             {msg.elements: []}
overdue  block   CN-ID-01,CN-TXT-05             {msg.elements: ~}
overdue  block   CN-ID-02                       {case.outsourced: true}
overdue  block   CN-ID-02                       {case.outsourced: ~}
overdue  allow   -                              {case.outsourced: true, case.outsourcing_notified: true}
overdue  block   CN-ID-03                       {to.wrong_party: true}
overdue  review  CN-ID-04                       {to.number_state: reassigned}
overdue  block   CN-ID-05                       {msg.corporate_sender: false}
overdue  block   CN-LED-01,CN-LED-04,CN-DUE-01  {acct.paid: 320.50}
overdue  block   CN-LED-01,CN-LED-04,CN-DUE-01  {acct.paid: ~}
overdue  allow   -                              {acct.paid: 320.49, msg.amount: 0.01}
overdue  defer   CN-LED-02                      {acct.pay_pending: true}
overdue  defer   CN-LED-03                      {acct.ledger_age_s: 300.5}
overdue  allow   -                              {acct.ledger_age_s: 300}
overdue  block   CN-LED-04                      {msg.amount: 320.51}
overdue  allow   -                              {msg.amount: ~}
overdue  block   CN-DUE-01                      {acct.due_date: "2026-08-12"}
overdue  block   CN-DUE-01                      {acct.tolerance: 320.50}
overdue  allow   -                              {acct.tolerance: 320.49}
overdue  block   CN-DUE-01                      {acct.grace_days: 5}
overdue  allow   -                              {acct.grace_days: 4}
overdue  block   CN-FEE-01                      {acct.penalty_mult: 1.51}
overdue  allow   -                              {acct.penalty_mult: 1.5}
overdue  allow   -                              {acct.penalty_mult: 9, acct.lender_class: micro_loan}
overdue  block   CN-FEE-02                      {acct.apr_total: 24.01}
overdue  allow   -                              {acct.apr_total: 24}
overdue  block   CN-FEE-01,CN-FEE-02,CN-FEE-03  {acct.lender_class: ~, acct.penalty_mult: 2, acct.apr_total: 40, acct.cap_4lpr: 14}
overdue  block   CN-FEE-03                      {acct.lender_class: private, acct.apr_total: 14.1, acct.cap_4lpr: 14}
overdue  allow   -                              {acct.lender_class: private, acct.apr_total: 14, acct.cap_4lpr: 14}
overdue  block   CN-FEE-03                      {acct.lender_class: private, acct.apr_total: 14}
overdue  block   CN-DEC-01                      {case.deceased: true}
overdue  review  CN-INC-01                      {case.incapacity: ~}
overdue  block   CN-DSP-01                      {case.dispute_open: true}
overdue  block   CN-HRD-01                      {case.plan: active, case.plan_kept: true}
overdue  allow   -                              {case.plan: active, case.plan_kept: false}
overdue  block   CN-HRD-01                      {case.plan: active, case.plan_kept: ~}
overdue  block   CN-HRD-01                      {case.plan: ~, case.plan_kept: true}
overdue  allow   -                              {case.plan: none, case.plan_kept: ~}
overdue  review  CN-HRD-02                      {case.hardship_pending: true}
overdue  block   CN-BKR-01                      {case.bankruptcy: discharged}
overdue  block   CN-TXT-01                      {msg.text: "【示例金融】李女士，再不还款后果自负"}
overdue  block   CN-TXT-01                      {msg.text: "【示例金融】再不還款，後 果 自 負"}
overdue  allow   -                              {msg.text: "【示例金融】当心骗子来电，请勿转账到个人账户"}
overdue  block   CN-TXT-01                      {msg.text: ~}
overdue  block   CN-TXT-02                      {msg.claims: [legal_action]}
overdue  allow   -                              {msg.claims: [legal_action], case.true_claims: [legal_action, other]}
overdue  block   CN-TXT-02                      {case.true_claims: ~}
overdue  block   CN-TXT-03                      {msg.promo: true}
overdue  block   CN-TXT-05                      {msg.elements: [sender_identity, amount_or_pointer, overdue_fact, pay_route, official_contact]}
overdue  redact  CN-PII-01                      {msg.text: "【示例金融】李女士，您的号码13812345678已逾期"}
overdue  allow   -                              {msg.text: "【示例金融】李女士，您的尾号5678已逾期"}
overdue  block   CN-URL-01                      {msg.url: "https://example.cn/p"}
overdue  allow   -                              {msg.url: "https://example.cn/p", msg.url_icp: true, msg.url_short: false, msg.url_in_var: false}
overdue  block   CN-SIG-01                      {msg.template_ok: false}
overdue  block   CN-SIG-02                      {msg.port: service}
overdue  block   CN-OPT-03                      {msg.optout_text: true}
overdue  block   CN-REC-01                      {rec.decision_logged: ~}
overdue  block   DW-OPT-01                      {consent.channel_optout: [sms]}
overdue  defer   DW-BLK-01                      {case.blackout: true}
pre_due  defer   DW-BLK-01                      {case.blackout: ~}
overdue  allow   -                              {case.blackout: false}
overdue  allow   -                              {consent.channel_optout: [wechat]}
overdue  block   DW-OPT-01                      {consent.channel_optout: ~}
pre_due  allow   -                              {}
pre_due  defer   CN-HRS-02                      {now: "2026-08-12T22:00:00+08:00", consent.night_contact: true}
pre_due  allow   -                              {now: "2026-08-12T08:00:00+08:00"}
pre_due  allow   -                              {case.dispute_open: true, case.hardship_pending: true}
pre_due  block   CN-TXT-04                      {msg.elements: [sender_identity, amount_or_pointer, pay_route, official_contact]}
pre_due  block   CN-SIG-03                      {msg.port: marketing}
pre_due  allow   -                              {msg.port: fi_dedicated}
due_day  allow   -                              {}
due_day  block   CN-LED-01,CN-LED-04            {acct.paid: 320.50}
due_day  allow   -                              {acct.due_date: "2026-08-12"}
overdue  defer   CN-CAP-04                      {history: [{at: "2026-08-12T09:00:00+08:00", channel: sms, dir: out, stage: overdue, debt: k1}]}
overdue  allow   -                              {history: [{at: "2026-08-11T09:00:00+08:00", channel: sms, dir: out, stage: overdue, debt: k1}]}
overdue  defer   CN-CAP-05                      {history: [{at: "2026-08-06T09:00:00+08:00", channel: sms, dir: out, stage: overdue, debt: k1}, {at: "2026-08-07T09:00:00+08:00", channel: sms, dir: out, stage: overdue, debt: k1}, {at: "2026-08-08T09:00:00+08:00", channel: sms, dir: out, stage: overdue, debt: k1}]}
pre_due  defer   CN-CAP-06                      {history: [{at: "2026-08-12T08:30:00+08:00", channel: sms, dir: out, stage: pre_due, debt: k1}, {at: "2026-08-12T09:00:00+08:00", channel: push, dir: out, stage: due_day, debt: k1}]}
due_day  allow   -                              {history: [{at: "2026-08-11T23:59:00+08:00", channel: sms, dir: out, stage: pre_due, debt: k1}, {at: "2026-08-12T09:00:00+08:00", channel: push, dir: out, stage: due_day, debt: k1}]}
"""

LINES = [line.split(maxsplit=3) for line in TABLE.strip().splitlines()]
NOT_A_TEXT = {"CN-HRS-05", "CN-OPT-01", "CN-OPT-02", "CN-CRD-01", "CN-PII-02", "CN-REC-02"} | {
    *(f"CN-CAP-0{n}" for n in (1, 2, 3)),
    *(f"CN-3P-0{n}" for n in (2, 3, 4, 5, 6)),
}


def cases() -> CaseFile:
    """The table as a case file."""
    path = Path(__file__).with_name("guard_cases.yaml")
    bases = path.read_text(encoding="utf-8").split("cases:\n- id:")[0]
    return read_cases(bases + "cases:\n" + "\n".join(map(_case, LINES)), source=path.name)


def _case(line: list[str]) -> str:
    stage, outcome, rules, facts = line
    return f"""
- id: {stage}
  base: li_overdue_sms
  set: {{msg.stage: {stage}, {STAGES[stage]}}}
  checks:
  - {{set: {facts}, expect: {{decision: {outcome}, rules: [{rules.strip("-")}]}}}}"""


@pytest.fixture(scope="module")
def verdicts() -> list[CheckVerdict]:
    return run_cases(cases(), overlays=["HOUSE"])


@pytest.mark.parametrize("number", range(len(LINES)), ids=lambda n: " ".join(LINES[n][:3]))
def test_it_decides_as_the_table_says(number: int, verdicts: list[CheckVerdict]) -> None:
    assert verdicts[number].disagreements() == []


def test_it_has_a_line_for_every_rule_about_a_text() -> None:
    told = {rule for line in LINES for rule in line[2].split(",")}
    rules = {rule.id for rule in load_rulebook(["CN", "HOUSE"]).rules}
    assert rules - told == NOT_A_TEXT
