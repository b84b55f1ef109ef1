"""How far ahead a deferred message is asked for: past a day without an instant, and not for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from duewise.frames import INSTANT
from duewise.guard.judge import judge
from duewise.guard.later import HORIZON_DAYS
from duewise.guard.profile import load_rulebook

NOW = datetime(2026, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize("hours", [5, 27, 100, 400, HORIZON_DAYS * 24, HORIZON_DAYS * 24 + 1])
def test_it_finds_the_instant_at_which_a_contact_drops_out_up_to_its_horizon(
    hours: int, tmp_path: Path
) -> None:
    cap = f"{{count: {{channel: [sms]}}, per: debtor, window: {{type: hours, n: {hours}}}, max: 1}}"
    rule = f"{{id: X-1, cap: {cap}, else: defer, basis: policy, conf: L, src: [X]}}"
    text = f"schema: jp/1\nversion: 1\nprofile: X\nrules:\n- {rule}\n"
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    rulebook = load_rulebook(["X"], directories=[tmp_path])
    messages = pl.DataFrame({"borrower_id": ["Li", "Wang"], "now": [NOW, NOW]})
    log = pl.DataFrame({"borrower_id": ["Li"], "at": [NOW], "channel": ["sms"]})
    log = log.cast({"at": INSTANT})
    judged = judge(messages.cast({"now": INSTANT}), log, rulebook=rulebook)
    at = NOW + timedelta(hours=hours)
    is_near = at <= NOW + timedelta(days=HORIZON_DAYS)
    assert judged["outcome"].to_list() == ["defer", "allow"]
    assert judged["next_allowed_at"].to_list() == [at if is_near else None, None]
