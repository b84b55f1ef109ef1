"""A model from the command line: fitted, carded, registered or refused, watched, and scored by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.risk_frames import drawn_frame

from duewise.cli import main
from duewise.errors import BadInput, IntegrityBroken
from duewise.store import models_registry as registry

FIT = [
    "--target",
    "late",
    "--time",
    "as_of",
    "--known-after-days",
    "10",
    "--money",
    "owed",
    "--protected",
    "sex",
    "--folds",
    "2",
    "--quick",
]
DICTIONARY = (
    "name,sign,reason_en,reason_zh\nlate_share,+,instalments often came late,历史还款常有逾期\n"
)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a registered model, its frame and its dictionary."""
    folder = tmp_path_factory.mktemp("risk")
    drawn_frame(2_400).write_parquet(folder / "frame.parquet")
    (folder / "words.csv").write_text(DICTIONARY, encoding="utf-8")
    run(folder, "fit", folder / "frame.parquet", *FIT, "--dictionary", folder / "words.csv")
    return folder


def run(workspace: Path, *arguments: object) -> None:
    main(["--workspace", str(workspace), "--json", "risk", *map(str, arguments)])


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_writes_a_card_and_registers_the_model(
    fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(fitted, "report", "--target", "late")
    card = told(capsys)
    assert card["registered"]
    assert card["in_use"] == "boosting"
    assert card["split"] == "by borrower and time"
    assert card["source"]["rows"] == 2_400
    assert "sex" not in card["features"]
    assert {row["group"] for row in card["groups"]} == {"female", "male"}
    page = (fitted / "models" / "late" / card["version"] / "card.html").read_text(encoding="utf-8")
    assert page.count("<canvas") == 2
    for words in ("Registered: every guard holds.", "Scorecard", card["source"]["sha256"][:12]):
        assert words in page


def test_it_scores_with_reasons_in_both_languages(fitted: Path, tmp_path: Path) -> None:
    frame, words = fitted / "frame.parquet", fitted / "words.csv"
    run(
        fitted,
        "reasons",
        frame,
        "--target",
        "late",
        "--out",
        tmp_path / "s.parquet",
        "--dictionary",
        words,
    )
    scored = pl.read_parquet(tmp_path / "s.parquet").sort("probability")
    assert scored["model"].unique().to_list() == ["boosting"]
    assert "instalments often came late" in scored["reasons_en"][-1]
    assert "历史还款常有逾期" in scored["reasons_zh"][-1]
    assert scored["reasons"].list.len().max() == 3


def test_it_registers_the_targets_of_one_fit_together_or_not_at_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    frame = drawn_frame(1_800).rename({"late": "late_1"})
    asked = ("--time", "as_of", "--known-after-days", "10", "--folds", "2", "--quick")
    by_chance = pl.Series(np.random.default_rng(2).random(1_800) < 0.3)
    for late_7, is_registered in ((by_chance, False), (frame["late_1"], True)):
        frame.with_columns(late_7=late_7).write_parquet(tmp_path / "frame.parquet")
        run(tmp_path, "fit", tmp_path / "frame.parquet", "--target", "late_7,late_1", *asked)
        one, other = told(capsys)["models"]
        assert [one["target"], other["target"]] == ["late_1", "late_7"]
        assert one["registered"] == other["registered"] == is_registered
        broken = {guard["name"] for guard in one["guards"] if not guard["holds"]}
        assert broken == (set() if is_registered else {"together"})
        for each in (one, other):
            assert "late_1" not in each["features"]
            assert (registry.champion_version(tmp_path, each["target"]) is None) != is_registered
    with pytest.raises(SystemExit):
        run(tmp_path, "fit", tmp_path / "frame.parquet", "--target", "late_1,cured")
    assert "cannot be fitted together" in capsys.readouterr().err


def test_it_refuses_a_model_that_is_worse(
    fitted: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = registry.champion_version(fitted, "late")
    blurred = pl.Series(
        np.random.default_rng(1).permutation(drawn_frame(2_400)["late_share"].to_numpy())
    )
    frame = drawn_frame(2_400).with_columns(late_share_2=blurred)
    frame.write_parquet(tmp_path / "worse.parquet")
    capsys.readouterr()
    run(
        fitted,
        "fit",
        tmp_path / "worse.parquet",
        *FIT,
        "--protected",
        "late_share",
        "--protected",
        "tenure",
    )
    card = told(capsys)
    assert not card["registered"]
    assert "auc_not_worse" in {guard["name"] for guard in card["guards"] if not guard["holds"]}
    assert "Not registered." in (Path(card["folder"]) / "card.html").read_text(encoding="utf-8")
    assert registry.champion_version(fitted, "late") == before


def test_it_falls_back_to_rules_when_both_models_fail(
    fitted: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    frame = fitted / "frame.parquet"
    capsys.readouterr()
    run(fitted, "monitor", frame, "--target", "late", "--segment", "product")
    assert told(capsys)["in_use"] == "boosting"
    turned = pl.read_parquet(frame).with_columns(late=1 - pl.col("late"))
    turned.write_parquet(tmp_path / "turned.parquet")
    run(fitted, "monitor", tmp_path / "turned.parquet", "--target", "late", "--segment", "product")
    found = told(capsys)
    assert found["in_use"] == "rules"
    assert "out_of_calibration" in found["findings"]["scorecard"]
    with pytest.raises(SystemExit):
        run(fitted, "reasons", frame, "--target", "late", "--out", tmp_path / "s.parquet")
    assert "set both models aside" in capsys.readouterr().err
    run(fitted, "monitor", frame, "--target", "late", "--segment", "product")
    assert told(capsys)["in_use"] == "boosting"


BAD: dict[str, tuple[list[object], str, int]] = {
    "no Parquet": (["words.csv", "--target", "late"], "not a Parquet file. Mend: write", 2),
    "no target": (
        ["frame.parquet", "--target", "lateness"],
        "lack column 'lateness'. Mend: columns",
        2,
    ),
    "ten rows": (
        ["ten.parquet", "--target", "late"],
        "inconclusive, no model: there are fewer than 200",
        1,
    ),
    "no file": (["nothing.parquet", "--target", "late"], "No such file", 2),
    "no sign": (
        ["frame.parquet", "--target", "late", "--dictionary", "wrong.csv"],
        "wrong.csv:2: 'x' is no sign",
        2,
    ),
}


# What a frame may hold of which nothing can be learned: how it comes, what is said, the exit code.
UNFIT: dict[str, tuple[dict[str, pl.Expr], str, int]] = {
    "nobody late": ({"late": pl.lit(0)}, "inconclusive, no model: all rows have the same", 1),
    "one borrower late": (
        {"borrower_id": pl.when(late=1).then(pl.lit("Li")).otherwise("borrower_id")},
        "inconclusive, no model: a fold has one outcome only",
        1,
    ),
    "an outcome unlike 0 and 1": ({"late": pl.lit(2)}, "'late' holds more than 0 and 1", 2),
    "an empty column": ({"noise": pl.lit(None, pl.Float64)}, "'noise' has no value in any row", 2),
    "infinite": ({"noise": pl.lit(float("inf"))}, "'noise' is infinite in 600 rows", 2),
    "too many categories": (
        {"product": pl.int_range(pl.len()).cast(pl.String)},
        "'product' has 600 values, more than 100",
        2,
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_it_makes_no_model_of_a_frame_it_cannot_learn_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    changes, message, code = UNFIT[name]
    frame = drawn_frame(600).drop("as_of").with_columns(**changes)
    frame.write_parquet(tmp_path / "frame.parquet")
    with pytest.raises(SystemExit) as left:
        run(tmp_path, "fit", tmp_path / "frame.parquet", "--target", "late", "--folds", "2")
    assert left.value.code == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_it_scores_what_it_cannot_read_as_missing_and_says_so(
    fitted: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    is_first = pl.int_range(pl.len()) < 3
    frame = pl.read_parquet(fitted / "frame.parquet").with_columns(
        product=pl.when(is_first).then(pl.lit("gold")).otherwise("product"),
        noise=pl.when(is_first).then(float("inf")).otherwise("noise"),
    )
    frame.write_parquet(tmp_path / "frame.parquet")
    asked = ("--target", "late", "--out", tmp_path / "scores.parquet")
    run(fitted, "reasons", tmp_path / "frame.parquet", *asked)
    assert told(capsys)["unread"] == {"noise": 3, "product": 3}
    assert pl.read_parquet(tmp_path / "scores.parquet")["probability"].is_finite().all()
    run(fitted, "monitor", tmp_path / "frame.parquet", "--target", "late")
    shares = {row["feature"]: row["unread"] for row in told(capsys)["drift"]}
    assert shares["product"] == shares["noise"] == pytest.approx(3 / 2_400)
    assert shares["tenure"] == 0


@pytest.mark.parametrize("name", BAD)
def test_it_says_what_is_wrong_and_makes_no_model(
    fitted: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    arguments, message, code = BAD[name]
    monkeypatch.chdir(fitted)
    drawn_frame(600).head(10).write_parquet("ten.parquet")
    Path("wrong.csv").write_text(DICTIONARY.replace("+", "x"), encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        run(fitted, "fit", *arguments)
    assert left.value.code == code
    assert message in capsys.readouterr().err


def test_it_notices_a_model_file_that_was_changed(fitted: Path, tmp_path: Path) -> None:
    version = registry.champion_version(fitted, "late") or ""
    copy = tmp_path / "models" / "late" / version
    copy.mkdir(parents=True)
    content = (fitted / "models" / "late" / version / "model.json").read_bytes()
    (copy / "model.json").write_bytes(content.replace(b'"base":', b'"base" :', 1))
    with pytest.raises(IntegrityBroken, match="was changed"):
        registry.load(tmp_path, "late", version)
    with pytest.raises(BadInput, match="no model of 'late'"):
        registry.load(tmp_path, "late")
