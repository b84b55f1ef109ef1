"""Profiles: what ships loads, overlays add up, and a mistake is shown with its line and its mend."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import pytest

from duewise.book.calendar import chinese_calendar
from duewise.document import parse
from duewise.errors import BadInput
from duewise.guard.profile import load_rulebook, profile_names, with_calendars
from duewise.guard.rule import Cap, Duty, Must, Outcome

RULES = {
    "CN": 53,
    "EU": 4,
    "HK": 2,
    "HOUSE": 2,
    "ID": 2,
    "IN": 4,
    "KE": 2,
    "PH": 2,
    "SG": 2,
    "UK": 7,
    "US-REGF": 30,
}
RULE = "id: X-1, must: 'msg.promo == false', else: block, basis: law, conf: H, src: [A]"
BAD = """
{id: X-1, else: block, basis: law, conf: H, src: [A]} | has 0 | one of must, window
{RULE, lint: [zh_insult]} | has 2 (must, lint) | one of must, window
{RULE, ifs: 'msg.promo == true'} | unknown key 'ifs' | use id, for, if
{RULE, if: 'msg.prmo == true'} | unknown fact 'msg.prmo' | 'msg.promo'?
{RULE, if: 'msg.promo is true'} | unknown operator 'is' | == !=
{RULE, if: 'msg.promo =='} | '==' needs a value | fact op value
{RULE, if: 'msg.url present yes'} | 'present' takes no value | fact present
{RULE, if: 'msg.promo == maybe'} | neither true nor false | bool fact
{RULE, if: 'msg.promo > false'} | == or != | bool fact
{RULE, if: 'msg.claims == a'} | a set is compared with | set fact
{RULE, if: 'to.role subset [a]'} | compares sets | text fact
{RULE, if: 'to.role in debtor'} | square brackets | text fact
{RULE, if: 'to.role == a b'} | is not one word | text fact
{RULE, if: 'acct.paid < much'} | 'much' is not a number | amount fact
{RULE, if: 'acct.due_date == 2026'} | no value to compare | date fact
{RULE, if: 'to.role in $msg.claimz'} | unknown fact 'msg.claimz' | text fact
{RULE, if: 'to.role in $msg.promo'} | is a bool fact, not set | text fact
{RULE, if: {some: []}} | not a predicate | {all: [..]}
{RULE, if: {all: []}} | holds nothing | at least one
{RULE, if: [a]} | expected a mapping | key: value
{RULE, for: {stag: [a]}} | unknown key 'stag' | stage, channel, role
{RULE, for: {stage: a}} | expected a list | [one, two]
{RULE, for: {stage: [overdeu]}} | unknown stage 'overdeu' | overdue
{RULE, for: {channel: [fax]}} | unknown channel 'fax' | sms
{RULE, valid_from: 2026-08-01, valid_to: 2026-07-31} | ends before it begins | exchange
{RULE, valid_from: soon} | 'soon' is not a date | 2026-11-23
{id: X-1, must: 'msg.promo == false', else: shout, HEAD} | unknown effect 'shout' | redact, defer
{id: X-1, must: 'msg.promo == false', HEAD} | key 'else' is missing | add `else:`
{id: X-1, lint: [zh_nonsense], else: block, HEAD} | unknown lexicon 'zh_nonsense' | zh_insult
{id: X-1, window: {start: 8, end: "22:00"}, else: defer, HEAD} | '8' is not a time | "08:00"
{id: X-1, window: {start: "22:00", end: "08:00"}, else: defer, HEAD} | ends before | midnight
{id: X-1, window: {start: "08:00", end: "22:00", days: [mo]}, else: defer, HEAD} | 'mo' | mon
{id: X-1, cap: {count: {}, per: debt, window: {type: day}, max: 1}, else: defer, HEAD} | 'day' | days
{id: X-1, cap: {count: {}, per: debt, window: {type: hours}, max: 1}, else: defer, HEAD} | `n` | 7
{id: X-1, cap: {count: {}, per: loan, window: {type: calendar_day}, max: 1}, HEAD} | 'loan' | debt
{id: X-1, cap: {count: {}, per: debt, window: {type: calendar_day}, max: 0}, HEAD} | '0' | from 1
{id: X-1, duty: {trigger: a, action: b, within: P1D}, else: block, HEAD} | gates nothing | remove
{RULE, id: X-2} | key 'id' comes twice | one of them
{RULE | not YAML | brackets
"""
HEAD = "basis: law, conf: H, src: [A]"
PROFILE = "schema: jp/1\nversion: 1\nprofile: X\nrules:\n# a note\n- {rule}\n"


def load(folder: Path, text: str) -> BadInput:
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        load_rulebook(["X"], directories=[folder])
    return refused.value


@pytest.mark.parametrize("line", BAD.strip().splitlines())
def test_it_refuses_a_bad_rule_with_file_line_and_mend(line: str, tmp_path: Path) -> None:
    rule, message, mend = line.split(" | ")
    text = rule.replace("{RULE", "{" + RULE).replace("HEAD", HEAD)
    refused = load(tmp_path, PROFILE.replace("{rule}", text))
    assert message in refused.message
    assert mend in (refused.mend or "")
    assert refused.source == str(tmp_path / "x.yaml")
    assert refused.line in (6, 7)


def test_it_shows_the_person_one_line(tmp_path: Path) -> None:
    refused = load(tmp_path, PROFILE.replace("{rule}", "{" + RULE + ", if: 'msg.prmo == true'}"))
    assert str(refused) == (
        f"{tmp_path}/x.yaml:6: unknown fact 'msg.prmo'. Mend: did you mean 'msg.promo'?"
    )


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("schema: jp/2\nprofile: X\nversion: 1\nrules: []", "schema 'jp/2' is not known"),
        ("schema: jp/1\nprofile: X\nrules: []", "key 'version' is missing"),
        ("schema: jp/1\nprofile: X\nversion: 1\nrule: []", "unknown key 'rule'"),
        ("schema: jp/1\nprofile: X\nversion: 1\ncalendar: c\nrules: []", "unknown calendar"),
        ("schema: jp/1\nprofile: X\nversion: 1\ntz_default: Mars\nrules: []", "unknown zone"),
        ("# nothing", "the file is empty"),
    ],
)
def test_it_refuses_a_bad_file(head: str, message: str, tmp_path: Path) -> None:
    assert message in load(tmp_path, head).message


@pytest.mark.parametrize(
    ("used", "library", "message"),
    [
        (
            "rules: [{id: X-1, lint: [a], else: block, HEAD}]",
            "lexicons: {a: [{re: '(', p: b}]}",
            "not a regular",
        ),
        ("rules: [{id: X-1, lint: [a], else: block, HEAD}]", "lexicons: {a: [{re: a}]}", "key 'p'"),
        (
            "calendar: c\nrules: []",
            "calendars: {c: {holidays: [2026-02-30]}}",
            "'2026-02-30' is not",
        ),
        (
            "calendar: c\nrules: []",
            "calendars: {c: {holidays: [2026-02-02/2026-01-01]}}",
            "empty or",
        ),
        ("calendar: c\nrules: []", "calendars: {c: {weekly_rest: [Sunday]}}", "unknown day"),
        ("calendar: c\nrules: []", "calendars: {c: {}}\nlexicon: {}", "unknown key 'lexicon'"),
    ],
)
def test_it_refuses_a_bad_calendar_or_word_list(
    used: str, library: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(f"schema: jp/1\n{library}", encoding="utf-8")
    text = f"schema: jp/1\nversion: 1\nprofile: X\n{used}".replace("HEAD", HEAD)
    refused = load(tmp_path, text)
    assert message in refused.message
    assert (refused.source, refused.line) == (str(tmp_path / "a.yaml"), 2 + ("lexicon:" in library))


def test_it_refuses_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes("profile: 规则".encode("gbk"))
    with pytest.raises(BadInput, match="not UTF-8"):
        load_rulebook(["X"], directories=[tmp_path])


def test_it_refuses_a_profile_nobody_wrote() -> None:
    with pytest.raises(BadInput, match=r"no profile 'XX'\. Mend: name one of CN, EU"):
        load_rulebook(["XX"])


def test_it_refuses_the_same_profile_twice() -> None:
    with pytest.raises(BadInput, match="rule CN-HRS-01 comes twice"):
        load_rulebook(["CN", "CN"])


def test_it_takes_a_rule_twice_only_on_different_days(tmp_path: Path) -> None:
    changed = "- {%s, valid_to: 2026-06-30}\n- {%s, valid_from: 2026-%s}"
    text = PROFILE.replace("- {rule}", changed)
    (tmp_path / "x.yaml").write_text(text % (RULE, RULE, "07-01"), encoding="utf-8")
    rulebook = load_rulebook(["X"], directories=[tmp_path])
    assert [rule.id for rule in rulebook.rules] == ["X-1", "X-1"]
    assert [len(rulebook.on(date(2026, month, 1)).rules) for month in (6, 7)] == [1, 1]
    refused = load(tmp_path, text % (RULE, RULE, "06-30"))
    assert (refused.message, refused.line) == ("rule X-1 comes twice", 7)
    assert refused.source == str(tmp_path / "x.yaml")


@pytest.mark.parametrize("name", sorted(RULES))
def test_it_loads_every_profile_that_ships(name: str) -> None:
    assert len(load_rulebook([name]).rules) == RULES[name]


def test_it_ships_no_profile_without_a_count_here() -> None:
    assert set(profile_names()) == set(RULES)


def test_it_reads_a_rule_as_it_is_written() -> None:
    rules = {rule.id: rule for rule in load_rulebook(["CN", "UK"]).rules}
    cap = rules["CN-CAP-05"]
    assert cap.effect is Outcome.DEFER
    assert cap.body == Cap(
        count=(("channel", ("sms",)), ("dir", ("out",)), ("stage", ("overdue",))),
        per="debt",
        unit="consecutive_days",
        n=7,
        max=3,
        include_agencies=False,
    )
    assert isinstance(rules["CN-HRD-01"].body, Must)
    assert isinstance(rules["UK-NOS-01"].body, Duty)
    assert rules["UK-NOS-01"].effect is None


def test_it_lays_the_house_over_a_market_and_leaves_the_market_as_it_is() -> None:
    alone, both = load_rulebook(["CN"]), load_rulebook(["CN", "HOUSE"])
    assert both.rules[:-2] == alone.rules
    assert both.rules[-1].id == "DW-OPT-01"
    assert (both.tz_default, both.calendar) == (alone.tz_default, alone.calendar)
    assert both.version == "CN 2026-11-23 + HOUSE 2026-11-23"


def test_it_hashes_content_and_not_comments(tmp_path: Path) -> None:
    text = PROFILE.replace("{rule}", "{" + RULE + "}")
    hashes = []
    for version in (text, text.replace("a note", "another"), text.replace("block", "review")):
        (tmp_path / "x.yaml").write_text(version, encoding="utf-8")
        hashes.append(load_rulebook(["X"], directories=[tmp_path]).content_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_it_prefers_the_profile_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "cn.yaml").write_text(
        PROFILE.replace("profile: X", "profile: CN").replace("{rule}", "{" + RULE + "}"),
        encoding="utf-8",
    )
    assert [rule.id for rule in load_rulebook(["cn"], directories=[tmp_path]).rules] == ["X-1"]


def test_it_reads_from_when_to_when_a_rule_is_in_force(tmp_path: Path) -> None:
    rule = RULE + ", valid_from: 2026-01-01, valid_to: 2026-12-31, reviewed_by: counsel"
    (tmp_path / "x.yaml").write_text(PROFILE.replace("{rule}", "{" + rule + "}"), encoding="utf-8")
    (read,) = load_rulebook(["X"], directories=[tmp_path]).rules
    assert (read.valid_from, read.valid_to) == (date(2026, 1, 1), date(2026, 12, 31))
    assert read.reviewed_by == "counsel"


def test_it_replaces_a_calendar_of_the_same_name_only() -> None:
    rulebook = load_rulebook(["CN"])
    given = parse("cn_2026: {holidays: [2026-12-25]}", source="cases.yaml").entries()
    replaced = with_calendars(rulebook, given)
    assert replaced.calendar is not None
    assert replaced.calendar.holidays == {date(2026, 12, 25)}
    assert replaced != rulebook
    assert with_calendars(load_rulebook(["UK"]), given) == load_rulebook(["UK"])


def test_it_travels_to_another_process() -> None:
    rulebook = load_rulebook(["CN", "HOUSE"])
    copy = pickle.loads(pickle.dumps(rulebook))
    assert copy == rulebook
    assert copy.rules == rulebook.rules


def test_it_knows_the_holidays_of_every_year_that_the_library_knows() -> None:
    calendar = load_rulebook(["CN"]).calendar
    assert calendar is not None
    assert calendar.years == frozenset(range(2004, 2027))
    assert date(2025, 10, 8) in calendar.holidays
    assert date(2025, 9, 28) in calendar.workdays
    # What we ship as data for this year and what the library says are the same.
    of_2026 = {day for day in calendar.holidays if day.year == 2026}
    assert of_2026 == {day for day in chinese_calendar().holidays if day.year == 2026}
    assert {day for day in calendar.workdays if day.year == 2026} == {
        day for day in chinese_calendar().workdays if day.year == 2026
    }


def test_it_takes_a_new_notice_as_data_of_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "calendars.yaml").write_text(
        "schema: jp/1\ncalendars:\n  cn_2026: {holidays: [2027-01-01/2027-01-03]}\n",
        encoding="utf-8",
    )
    shipped, own = load_rulebook(["CN"]), load_rulebook(["CN"], directories=[tmp_path])
    assert shipped.calendar is not None
    assert own.calendar is not None
    assert own.calendar.years == frozenset(range(2004, 2028))
    assert own.calendar.holidays - shipped.calendar.holidays == {
        date(2027, 1, day) for day in (1, 2, 3)
    }
    assert own.calendar.weekly_rest == {6, 7}
    assert own != shipped


@pytest.mark.parametrize(
    ("calendar", "message"),
    [
        ("{library: xx}", "no library 'xx'"),
        ("{holidays: [2027-01-01], workdays: [2027-01-01]}", "is a holiday and a working day"),
    ],
)
def test_it_refuses_a_calendar_that_contradicts_itself(
    calendar: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(
        f"schema: jp/1\ncalendars:\n  c: {calendar}\n", encoding="utf-8"
    )
    refused = load(tmp_path, "schema: jp/1\nversion: 1\nprofile: X\ncalendar: c\nrules: []")
    assert message in refused.message
    assert (refused.source, refused.line) == (str(tmp_path / "a.yaml"), 3)
