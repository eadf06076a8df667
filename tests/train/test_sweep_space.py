"""Lists, ranges, grids and names: equal names mean equal settings."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight.errors import UsageError
from beatsight.train.sweep.space import SETTINGS, Range, drawn, grid, parse_values, run_name

one_run = st.fixed_dictionaries(
    {"batch_size": st.integers(1, 4096)},
    optional={
        "epochs": st.integers(1, 500),
        "lr": st.floats(1e-9, 10.0, exclude_min=True),
        "dropout": st.floats(0.0, 0.99),
    },
)


@given(one_run, one_run)
def test_names_are_equal_only_for_equal_settings(one: dict[str, float], other: dict[str, float]) -> None:
    assert (run_name(one) == run_name(other)) == (one == other)
    assert "/" not in run_name(one) and not run_name(one).startswith(".")


def test_the_grid_of_the_old_script() -> None:
    runs = grid({"lr": (0.001, 0.0005), "epochs": (3, 5), "batch_size": (8, 16)})
    assert [run_name(run) for run in runs] == [
        "bs8_ep3_lr0.001", "bs8_ep3_lr0.0005", "bs8_ep5_lr0.001", "bs8_ep5_lr0.0005",
        "bs16_ep3_lr0.001", "bs16_ep3_lr0.0005", "bs16_ep5_lr0.001", "bs16_ep5_lr0.0005",
    ]  # fmt: skip
    expected = itertools.product((8, 16), (3, 5), (0.001, 0.0005))
    assert [tuple(run.values()) for run in runs] == list(expected)


@pytest.mark.parametrize(
    ("name", "texts", "answer"),
    [
        ("batch_size", ["8", "16", "8"], (8, 16)),
        ("lr", ["1e-3", "0.001"], (0.001,)),
        ("dropout", ["0", "0.5"], (0.0, 0.5)),
        ("lr", ["1e-4..1e-2"], Range(1e-4, 1e-2)),
        ("epochs", ["10..50"], Range(10, 50)),
    ],
)
def test_words_become_values(name: str, texts: list[str], answer: object) -> None:
    assert parse_values(name, texts) == answer


@pytest.mark.parametrize(
    ("name", "texts", "why"),
    [
        ("batch_size", ["8.5"], "--batch-sizes: '8.5' is not a whole number or a range"),
        ("batch_size", ["0"], "--batch-sizes: 0 must be above 0"),
        ("lr", ["fast"], "--learning-rates: 'fast' is not a number"),
        ("lr", ["nan"], "--learning-rates: nan must be above 0"),
        ("lr", ["inf"], "--learning-rates: inf must be above 0"),
        ("dropout", ["1"], "--dropouts: 1 must be at least 0 and below 1"),
        ("lr", ["1e-2..1e-4"], "runs from the larger to the smaller"),
        ("lr", ["1e-4..1e-2", "0.5"], "a range stands alone"),
        ("lr", ["1e-4.."], "'' is not a number"),
        ("epochs", [str(n) for n in range(1, 1002)], "1001 values; at most 1000"),
    ],
)
def test_words_that_make_no_sense(name: str, texts: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_values(name, texts)


def test_a_range_has_no_grid_and_nothing_is_no_sweep() -> None:
    with pytest.raises(UsageError, match=r"--learning-rates: a range is for a search; add --trials N"):
        grid({"lr": Range(1e-4, 1e-2)})
    with pytest.raises(UsageError, match="nothing to vary: give at least one of --batch-sizes, --epochs"):
        grid({})


@given(st.sampled_from(sorted(SETTINGS)), st.floats(1e-6, 0.99))
def test_drawn_numbers_have_short_names(name: str, value: float) -> None:
    number = drawn(name, value)
    assert len(run_name({name: number})) <= 16
    if not SETTINGS[name].whole:
        assert number == pytest.approx(value, rel=0.006)
