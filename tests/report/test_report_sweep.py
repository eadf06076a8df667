"""The page of a sweep, and its parallel coordinates: planted runs, read back from the drawing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from beatsight.report.page import render
from beatsight.report.parallel import ParallelAxis, ParallelLine, parallel_chart
from beatsight.report.sweep import sweep_page
from beatsight.report.sweep_data import SweepAxis, SweepEpoch, SweepReport, SweepRun

AXES = (
    ParallelAxis("batch size", values=(8, 16)),
    ParallelAxis("learning rate", low=1e-4, high=1e-2, log=True),
    ParallelAxis("score", low=0.2, high=0.8),
)


def line(
    name: str, batch: float, rate: float, score: float, level: float, best: bool = False
) -> ParallelLine:
    return ParallelLine(name, {"batch size": batch, "learning rate": rate, "score": score}, level, best)


def lines_of(drawing: Markup) -> dict[str, list[tuple[float, float]]]:
    """The corners of every run's line, by the name it shows when pointed at."""
    found = {}
    for item in ElementTree.fromstring(drawing).iter("polyline"):
        name = item.findtext("title")
        assert name is not None
        corners = [tuple(map(float, corner.split(","))) for corner in item.attrib["points"].split()]
        if len(corners) == len(AXES):
            found[name] = corners
    return found  # type: ignore[return-value]


def test_lines_pass_their_values() -> None:
    runs = [line("good", 16, 1e-3, 0.8, 1.0, best=True), line("bad", 8, 1e-4, 0.2, 0.0)]
    drawn = lines_of(parallel_chart("Runs", AXES, runs))
    (_, good_batch), (_, good_rate), (_, good_score) = drawn["good"]
    (_, bad_batch), (_, bad_rate), (_, bad_score) = drawn["bad"]
    height = bad_score - good_score
    assert bad_rate == bad_score  # the foot of both axes
    assert good_rate == pytest.approx(bad_score - height / 2)  # a third power of ten lies in the middle
    assert (bad_batch - good_batch) == pytest.approx(height / 2)  # two values: at 1/4 and 3/4
    assert list(drawn) == ["bad", "good"]  # the best run lies on top


def test_runs_with_equal_settings_stay_apart_in_the_order_of_their_scores() -> None:
    runs = [line(f"run{n}", 8, 1e-3, 0.5, level) for n, level in enumerate((0.5, 0.0, 1.0))]
    heights = {name: corners[0][1] for name, corners in lines_of(parallel_chart("Runs", AXES, runs)).items()}
    assert heights["run2"] < heights["run0"] < heights["run1"]
    assert heights["run1"] - heights["run2"] < 20


@given(
    st.lists(
        st.tuples(st.sampled_from((8, 16)), st.floats(1e-4, 1e-2), st.floats(0.2, 0.8), st.floats(0, 1)),
        max_size=8,
    )
)
def test_everything_lies_inside_the_drawing(runs: list[tuple[float, float, float, float]]) -> None:
    drawing = parallel_chart("Runs", AXES, [line(f"<{n}>", *run) for n, run in enumerate(runs)])
    width, height = map(float, ElementTree.fromstring(drawing).attrib["viewBox"].split()[2:])
    drawn = lines_of(drawing)
    assert len(drawn) == len(runs)
    assert all(0 <= x <= width and 0 <= y <= height for corners in drawn.values() for x, y in corners)


def run(name: str, batch: int, status: str, score: float | None, error: str = "") -> SweepRun:
    history = [SweepEpoch(epoch=n, train_loss=1 / n, val_loss=1.1 / n, val_macro_f1=score) for n in (1, 2)]
    return SweepRun(
        name=name, settings={"batch_size": batch, "epochs": 2}, status=status,  # type: ignore[arg-type]
        score=score, best_epoch=2 if status == "complete" else None, history=history if score else [],
        seconds=60.0, exit_code=3 if status == "failed" else 0, error=error,
    )  # fmt: skip


@pytest.fixture
def report() -> SweepReport:
    return SweepReport(
        program_version="0.1.0", kind="grid", dataset="my data", dataset_sha256="0" * 64,
        metric="val_macro_f1", metric_text="validation macro F1", higher_is_better=True,
        fixed={"--seed": "4", "--patience": "3"},
        axes=[SweepAxis(name="batch_size", values=[8, 16, 32]), SweepAxis(name="epochs", values=[2])],
        runs=[
            run("bs16_ep2", 16, "complete", 0.75),
            run("bs8_ep2", 8, "complete", 0.625),
            run("bs32_ep2", 32, "failed", None, "the loss is <nan>"),
        ],
        importances={"batch_size": 1.0}, importance_method="share of variance",
    )  # fmt: skip


def test_the_page_says_what_won_and_how_to_use_it(report: SweepReport) -> None:
    html = render(sweep_page(report, "runs"))
    assert "0.750" in html and "validation macro F1 of the best run, bs16_ep2" in html
    assert "The next run is 0.125 behind" in html and "1 run failed" in html
    commands = " ".join(re.sub("<[^>]*>", " ", html).split())
    assert "--model runs/bs16_ep2/best_drum_classifier.pth" in commands
    again = "beatsight train --dataset &#39;my data&#39; --batch-size 16 --epochs 2 --patience 3 --seed 5"
    assert again in commands
    assert "the loss is &lt;nan&gt;" in html and "<nan>" not in html
    assert "2 min" not in html.split("Training time")[0] and "3 min 00 s" in html


def test_the_json_report_reads_back(report: SweepReport) -> None:
    assert msgspec.json.decode(msgspec.json.encode(report), type=SweepReport) == report


def test_a_sweep_in_which_everything_failed_has_a_page(report: SweepReport) -> None:
    failed = msgspec.structs.replace(report, runs=report.of("failed"), importances={})
    html = render(sweep_page(failed, "runs"))
    assert "Nothing can be recommended" in html and "no data" in html and "What mattered" not in html
    assert report.best is report.runs[0] and failed.best is None


def test_a_loss_has_no_gauge(report: SweepReport) -> None:
    loss = msgspec.structs.replace(
        report, metric="val_loss", metric_text="validation loss", higher_is_better=False
    )
    verdict = sweep_page(loss, "runs").verdict
    assert verdict is not None and verdict.share is None
    assert replace(verdict, share=0.5).gauge is not None
