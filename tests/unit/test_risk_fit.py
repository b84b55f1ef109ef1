"""Models are judged on what they never saw, and not made of what cannot be learned from."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.risk_frames import QUICK, drawn_frame

from duewise.errors import BadInput
from duewise.risk import boosting, scorecard
from duewise.risk.boosting import fit_boosting
from duewise.risk.calibrate import KINDS, learn
from duewise.risk.fit import Columns, Validation, cross_validate, learners
from duewise.risk.folds import group_folds, splits
from duewise.risk.inputs import Inconclusive, Reason, read_inputs, read_target
from duewise.risk.logistic import expit
from duewise.risk.metrics import auc, calibration_line

COLUMNS = Columns(
    "late",
    "borrower_id",
    money="owed",
    protected=("sex", "as_of"),
    signs={"late_share": 1, "tenure": -1},
)


def validated(frame: pl.DataFrame, columns: Columns = COLUMNS) -> Validation | Inconclusive:
    return cross_validate(
        frame,
        "late",
        "borrower_id",
        seed=0,
        folds=3,
        columns=columns,
        models=learners(QUICK),
        rounds=50,
    )


def test_it_judges_both_models_on_rows_they_never_saw() -> None:
    frame = drawn_frame()
    found = validated(frame)
    assert isinstance(found, Validation)
    assert found.predictions["row"].to_list() == list(range(len(frame)))
    for model in ("boosting", "scorecard"):
        figures = {
            row["metric"]: row for row in found.metrics.filter(model=model).iter_rows(named=True)
        }
        expected = auc(found.predictions["target"].to_numpy(), found.predictions[model].to_numpy())
        assert figures["auc"]["point"] == pytest.approx(expected)
        assert 0.6 < figures["auc"]["low"] < expected < figures["auc"]["high"] < 0.85
        assert found.calibration.filter(model=model)["slope"][0] == pytest.approx(1, abs=0.25)
    assert set(found.folds["fold"]) == {0, 1, 2}
    assert found.differences["model"].unique().to_list() == ["scorecard"]
    assert found.gains.height == 12


def test_it_gives_the_same_figures_for_the_same_seed() -> None:
    frame = drawn_frame(600)
    first, second = validated(frame), validated(frame)
    assert isinstance(first, Validation)
    assert isinstance(second, Validation)
    assert first.predictions.equals(second.predictions)


def test_it_learns_nothing_from_an_outcome_of_pure_chance() -> None:
    frame = drawn_frame(900).with_columns(
        late=pl.Series(np.random.default_rng(3).integers(0, 2, 900))
    )
    found = validated(frame)
    assert isinstance(found, Validation)
    assert found.metrics.filter(metric="auc")["low"].max() < 0.5  # type: ignore[operator]


def test_it_keeps_a_borrower_on_one_side() -> None:
    frame = drawn_frame(600)
    fold = group_folds(frame["borrower_id"], frame["late"], folds=3, seed=0)
    sides = (
        frame.with_columns(fold=pl.Series(fold))
        .group_by("borrower_id")
        .agg(pl.col("fold").n_unique())
    )
    assert sides["fold"].to_list() == [1] * 200
    late = [frame["late"].to_numpy()[fold == k].mean() for k in range(3)]
    assert max(late) - min(late) < 0.05


def test_it_learns_from_no_outcome_that_was_not_known_yet() -> None:
    frame = drawn_frame(900)
    found = splits(
        frame["borrower_id"],
        frame["late"],
        folds=3,
        seed=0,
        time=frame["as_of"],
        known_after_days=30,
    )
    assert not isinstance(found, Inconclusive)
    for split in found:
        train, test = frame[split.train], frame[split.test]
        assert train["as_of"].max() + timedelta(days=30) < test["as_of"].min()  # type: ignore[operator]
        assert not set(train["borrower_id"]) & set(test["borrower_id"])
    judged = sum(len(split.test) for split in found)
    assert judged == pytest.approx(0.3 * 900, abs=20)
    assert splits(
        frame["borrower_id"],
        frame["late"],
        folds=3,
        seed=0,
        time=frame["as_of"],
        known_after_days=400,
    ) == Inconclusive(Reason.TOO_FEW_DATES)


def test_it_ranks_alike_where_a_big_table_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = drawn_frame()
    target = frame["late"].to_numpy().astype(float)
    inputs = read_inputs(frame, ["late_share", "tenure", "product"], signs={"late_share": 1})
    found = []
    for limit in (10_000, 1_000):
        monkeypatch.setattr(boosting, "SHARED_BINS_FROM", limit)
        monkeypatch.setattr(scorecard, "ROWS_MAX", limit)
        found += [
            fit(frame, target, frame["borrower_id"], inputs=inputs, seed=0).probability(frame)
            for fit in learners(QUICK).values()
        ]
    for whole, short in zip(found[:2], found[2:], strict=True):
        assert (whole != short).any()
        assert auc(target, short) == pytest.approx(auc(target, whole), abs=0.02)


def test_it_obeys_the_sign_that_is_known() -> None:
    frame = drawn_frame()
    target = frame["late"].to_numpy().astype(float)
    inputs = read_inputs(frame, ["late_share", "tenure", "noise"], signs={"late_share": 1})
    model = fit_boosting(frame, target, frame["borrower_id"], inputs=inputs, seed=0, settings=QUICK)
    rising = pl.DataFrame({"late_share": np.linspace(0, 1, 200), "tenure": 12, "noise": 0.0})
    assert (np.diff(model.probability(rising)) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_mends_probabilities_that_are_too_extreme(kind: str) -> None:
    chance = np.random.default_rng(5)
    odds = chance.normal(-1, 1, 20_000)
    target = (chance.random(20_000) < expit(odds)).astype(float)
    slope, intercept = calibration_line(target, learn(kind, 2.5 * odds, target)(2.5 * odds))
    assert slope == pytest.approx(1, abs=0.05)
    assert intercept == pytest.approx(0, abs=0.05)


BAD_COLUMNS: dict[str, tuple[pl.Expr, str]] = {
    "an infinite value": (
        pl.when(pl.int_range(pl.len()) == 7).then(float("inf")).otherwise("noise"),
        "infinite in 1 rows",
    ),
    "a column of nulls": (pl.lit(None, pl.Float64), "no value in any row"),
    "a list": (pl.concat_list("noise", "noise"), "is of type List"),
    "too many categories": (
        pl.concat_str(pl.lit("x"), pl.int_range(pl.len()).cast(pl.String)),
        "more than 100",
    ),
}


@pytest.mark.parametrize("name", BAD_COLUMNS)
def test_it_names_the_column_no_model_can_use(name: str) -> None:
    wrong, message = BAD_COLUMNS[name]
    with pytest.raises(BadInput, match=f"'noise'.*{message}"):
        validated(drawn_frame(600).with_columns(noise=wrong))


def test_it_names_the_target_that_is_not_0_or_1() -> None:
    for wrong in (pl.lit(2), pl.when(pl.col("late") == 1).then(1), pl.lit("yes")):
        with pytest.raises(BadInput, match="'late' holds more than 0 and 1"):
            validated(drawn_frame(600).with_columns(late=wrong))
    with pytest.raises(BadInput, match="lack column 'late'"):
        validated(drawn_frame(600).drop("late"))


def test_it_names_the_column_that_is_not_there_or_no_date() -> None:
    frame = drawn_frame(600)
    for lacking in ("borrower_id", "owed", "sex"):
        with pytest.raises(BadInput, match=f"lack column '{lacking}'"):
            validated(frame.drop(lacking))
    dated = replace(COLUMNS, time="as_of", protected=("sex",))
    undated = pl.when(pl.int_range(pl.len()) > 0).then("as_of")
    for wrong in (pl.col("as_of").cast(pl.String), undated):
        with pytest.raises(BadInput, match="'as_of' does not hold a date in every row"):
            validated(frame.with_columns(as_of=wrong), dated)


TOO_LITTLE: dict[str, tuple[Any, Reason]] = {
    "ten rows": (lambda frame: frame.head(10), Reason.TOO_FEW_ROWS),
    "nobody late": (lambda frame: frame.with_columns(late=0), Reason.ONE_CLASS),
    "everybody late": (lambda frame: frame.with_columns(late=1), Reason.ONE_CLASS),
    "five late": (
        lambda frame: frame.with_columns(late=(pl.int_range(pl.len()) < 5).cast(pl.Int64)),
        Reason.TOO_FEW_EVENTS,
    ),
    "one borrower late": (
        lambda frame: frame.with_columns(
            borrower_id=pl.when(late=1).then(pl.lit("Li")).otherwise("borrower_id")
        ),
        Reason.ONE_CLASS_IN_FOLD,
    ),
}


@pytest.mark.parametrize("name", TOO_LITTLE)
def test_it_makes_no_model_of_too_little(name: str) -> None:
    change, reason = TOO_LITTLE[name]
    assert validated(change(drawn_frame(600))) == Inconclusive(reason)
    assert reason.meaning


def test_it_takes_what_it_cannot_read_for_missing_and_counts_it() -> None:
    frame = drawn_frame(600)
    inputs = read_inputs(frame, ["tenure", "product"], signs={})
    target = read_target(frame, "late")
    assert not isinstance(target, Inconclusive)
    empty = frame.with_columns(product=pl.lit(None, pl.String), tenure=pl.lit(None, pl.Int64))
    unlike = {
        "product": pl.lit("gold"),
        "tenure": pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("long")),
    }
    for fit in learners(QUICK).values():
        model = fit(frame, target, frame["borrower_id"], inputs=inputs, seed=0)
        found = model.probability(frame.with_columns(**unlike))
        assert found.tolist() == model.probability(empty).tolist()
        infinite = frame.with_columns(product=None, tenure=float("inf"))
        assert model.probability(infinite).tolist() == found.tolist()
        with pytest.raises(BadInput, match="lack column 'product'"):
            model.probability(frame.drop("product"))
    assert inputs.unread(frame) == inputs.unread(empty) == {}
    assert inputs.unread(frame.with_columns(**unlike)) == {"tenure": 7, "product": 600}


def test_it_gives_everybody_the_base_rate_where_features_say_nothing() -> None:
    frame = drawn_frame(600).with_columns(tenure=pl.lit(12))
    target = frame["late"].to_numpy().astype(float)
    inputs = read_inputs(frame, ["tenure"], signs={})
    for fit in learners(QUICK).values():
        model = fit(frame, target, frame["borrower_id"], inputs=inputs, seed=0)
        assert model.probability(frame) == pytest.approx(target.mean(), abs=0.005)


def test_it_takes_no_protected_column_for_a_feature() -> None:
    frame = drawn_frame(600)
    assert COLUMNS.features_of(frame) == ("late_share", "tenure", "noise", "product")
    changed = validated(frame.with_columns(sex=pl.lit("female")), replace(COLUMNS))
    found = validated(frame)
    assert isinstance(found, Validation)
    assert isinstance(changed, Validation)
    assert changed.predictions.equals(found.predictions)
