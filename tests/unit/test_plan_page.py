"""The page of a plan: its counts are the plan's, its charts have their figures in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from tests.unit.lender import AS_OF, NOW, addresses, context, strategy, tables

from duewise.engine.partition import plan_partition
from duewise.errors import BadInput
from duewise.jobs.plan_figures import PlanFigures, plan_figures
from duewise.web.report.plan import render_plan

ZONE = "Asia/Shanghai"
PEOPLE = {"Chen": 1, "Li": 0, "Wang": 7, "Zhao": -2}


@pytest.fixture
def found(tmp_path: Path) -> PlanFigures:
    loans = [{"borrower": who, "due": [AS_OF - timedelta(days=n)]} for who, n in PEOPLE.items()]
    file = replace(strategy(), hold_out_bp=0, send_time="even")
    given = tables(*loans, addresses=addresses("Li", "Wang", "Chen"))
    asked = context(strategy=file, ledger_complete_until=NOW - timedelta(days=3))
    fresh = plan_partition(given, context=replace(asked, ledger_complete_until=NOW)).rows
    stale = plan_partition(given, context=asked).rows  # the guard stops what rests on old facts
    pl.concat([fresh, stale]).write_parquet(tmp_path / "plan.parquet")
    use = {"name": "sms <b>", "of": "messages", "limit": 10, "used": 4.0, "price": 3.2}
    manifest = {
        **dict.fromkeys(("rulebook_hash", "template_hash", "strategy_hash"), "0"),
        "plan_id": "p1",
        "as_of": str(AS_OF),
        "planned_at": str(NOW),
        "strategy": "cn v1",
        "borrowers": 8,
        "proposals": 6,
        "held_out": 0,
        "budgets": [use],
    }
    (tmp_path / "plan.json").write_text(json.dumps(manifest), encoding="utf-8")
    return plan_figures(tmp_path, zone=ZONE)


def test_it_counts_what_goes_what_is_stopped_and_why_not(found: PlanFigures) -> None:
    assert found.volumes.select("step", "messages").rows() == [
        ("due_today", 1),
        ("m1_day1", 1),
        ("m1_day7", 1),
    ]
    assert found.hours["messages"].sum() == 3
    assert found.hours["hour"].is_between(8, 19).all()
    assert found.stopped["messages"].max() == 3
    assert dict(found.reasons.iter_rows()) == {"no_address": 2}


def test_it_draws_every_chart_from_figures_in_the_page(found: PlanFigures) -> None:
    page = render_plan(found, currency="CNY", zone=ZONE)
    charts = re.findall(r'data-chart="(\w+)"', page)
    assert charts == ["volumes", "hours", "stopped", "budgets"]
    told = re.search(
        r'<script id="figures" type="application/json">(.*?)</script>', page, re.DOTALL
    )
    assert told is not None
    figures = json.loads(told[1])
    assert set(charts) == set(figures)
    assert sum(sum(each["data"]) for each in figures["hours"]["sets"]) == 3
    assert len(figures["hours"]["labels"]) == 24
    assert figures["budgets"]["sets"][0]["data"] == [40.0]
    assert "CNY 3.20" in page
    assert "sms &lt;b&gt;" in page
    assert "<b>" not in page.split("<main>")[1].split("</main>")[0]
    assert "http://" not in page.split("</main>")[0]


def test_it_says_where_no_plan_is_done(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished plan"):
        plan_figures(tmp_path, zone=ZONE)
