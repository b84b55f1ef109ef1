"""Do the case files notice a rule that is gone, turned round or shifted? Prints who gets away.

Every mutant is a value: a loaded rulebook in which one rule differs. All checks of a case file are
judged in one call a mutant, and a mutant that no check notices has survived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from duewise.guard.case_file import Check, load_cases
from duewise.guard.cases import Frames, check_frames, judge_checks
from duewise.guard.predicate import Atom, Not
from duewise.guard.profile import load_rulebook
from duewise.guard.rule import Cap, Lint, Must, Outcome, Rule, Rulebook, Window

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "tables" / "cases"
BOOKS: Mapping[str, str] = {"CN": "cn.yaml", "US-REGF": "us-regf.yaml"}
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_ALWAYS = Atom("msg.stage", "present")


@dataclass(frozen=True)
class Mutant:
    """A rulebook in which the rule of that id is not what it was."""

    rule: str
    kind: str
    rulebook: Rulebook


def mutants(rulebook: Rulebook) -> Iterator[Mutant]:
    """Every rule deleted, negated, made milder, and its figures shifted by one."""
    for place, rule in enumerate(rulebook.rules):
        if rule.effect is None:
            continue
        for kind, changed in _changes(rule):
            rules = (*rulebook.rules[:place], *changed, *rulebook.rules[place + 1 :])
            name = f"{rulebook.content_hash} {rule.id} {kind}"
            yield Mutant(rule.id, kind, replace(rulebook, rules=rules, content_hash=name))


def survivors(chosen: Iterable[Mutant] | None = None) -> list[str]:
    """The mutants that no check of their profile's cases notices."""
    every = (mutant for name in BOOKS for mutant in mutants(load_rulebook([name])))
    return [
        f"{mutant.rule} {mutant.kind}"
        for mutant in (every if chosen is None else chosen)
        if not _is_noticed(mutant)
    ]


def _is_noticed(mutant: Mutant) -> bool:
    (name,) = mutant.rulebook.names
    checks, frames = _checks(name)
    judged = judge_checks(checks, mutant.rulebook, frames)
    return any(verdict.disagreements() for verdict in judged)


@cache
def _checks(name: str) -> tuple[tuple[Check, ...], Frames]:
    """The checks of a profile's case file, laid out once."""
    checks = load_cases(FOLDER / BOOKS[name]).checks
    return checks, check_frames(checks)


def _changes(rule: Rule) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    yield "deleted", ()
    yield "negated", _negated(rule)
    if rule.effect is not Outcome.REDACT:
        assert rule.effect is not None
        yield "milder", (replace(rule, effect=Outcome(rule.effect - 1)),)
    match rule.body:
        case Window(start_us=start_us, end_us=end_us):
            longer = replace(rule.body, end_us=min(end_us + HOUR_US, DAY_US))
            yield "an hour longer", (replace(rule, body=longer),)
            early = replace(rule.body, start_us=start_us - HOUR_US)
            yield "an hour earlier", (replace(rule, body=early),)
        case Cap(max=most):
            yield "one more", (replace(rule, body=replace(rule.body, max=most + 1)),)
            yield "one less", (replace(rule, body=replace(rule.body, max=most - 1)),)


def _negated(rule: Rule) -> tuple[Rule, ...]:
    """It fires where it did not, and the other way round.

    A window becomes the hours it left out after it, a cap one that is full from the start, a word
    list one that no text passes: what they let through they now refuse.
    """
    match rule.body:
        case Must(predicate):
            return (replace(rule, body=Must(Not(predicate))),)
        case Window(end_us=end_us):
            return (replace(rule, body=replace(rule.body, start_us=end_us, end_us=DAY_US)),)
        case Cap():
            return (replace(rule, body=replace(rule.body, max=0)),)
        case Lint():
            return (replace(rule, body=Must(Not(_ALWAYS))),)
    raise AssertionError(f"{rule.id} gates nothing")


def main() -> None:
    """Say how many were tried and who survived."""
    tried = [mutant for name in BOOKS for mutant in mutants(load_rulebook([name]))]
    alive = survivors(tried)
    print(f"{len(tried)} mutants of {len({m.rule for m in tried})} rules, {len(alive)} survived")
    for name in alive:
        print(f"  {name}")


if __name__ == "__main__":
    main()
