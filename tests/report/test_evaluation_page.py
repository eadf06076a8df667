"""The page of an evaluation: the figures of its record, a player for every moment named, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser

from beatsight.evaluate import Evaluation, full_report
from beatsight.report.clips import Clip, Sight, clip_picture
from beatsight.report.evaluation import evaluation_page
from beatsight.report.evaluation_data import EvaluationReport, LabelIssue
from beatsight.report.images import colour_map
from beatsight.report.page import render, write_page
from beatsight.report.sound import clip_wav
from planted_evaluation import planted_evaluation

HOSTILE = "</script><script>alert(1)</script><img src=http://evil.example/x>"
PHONE_PX = 390


def case(moments: int = 120) -> Evaluation:
    """A middling model with all heads; one session's name attacks the page."""
    random = np.random.default_rng(6)
    truth = random.random((moments, 12)) < 0.2
    truth[:, 11] = False
    scores = np.clip(np.where(truth, 0.7, 0.25) + random.normal(0, 0.2, truth.shape), 0, 1)
    names = [HOSTILE if at % 3 == 0 else f"session-{at % 3}" for at in range(moments)]
    level = np.where(truth, random.random(truth.shape), np.nan).astype(np.float32)
    opened = np.where(truth[:, 3], random.random(moments), np.nan).astype(np.float32)
    return planted_evaluation(
        truth, scores, names, sources=["one", "two"] * (moments // 2),
        velocity=(level, np.nan_to_num(level, nan=0.5) * np.float32(0.9)),
        openness=(opened, np.full(moments, 0.4, np.float32)),
    )  # fmt: skip


def report_of(evaluation: Evaluation) -> EvaluationReport:
    issues = [
        LabelIssue(
            row=10 * at, sample_id=f"row-{10 * at}", session_id=HOSTILE, audio_path="a.wav",
            onset_time=at / 10, given=["kick"], suggested=["snare"], score=0.1 + at / 100, flagged=at < 15,
        )
        for at in range(30)
    ]  # fmt: skip
    return full_report(evaluation, issues)


def sights(report: EvaluationReport) -> dict[int, Sight]:
    random = np.random.default_rng(1)
    rows = {mistake.row for pair in report.mistake_pairs for mistake in pair.hardest}
    rows |= {issue.row for issue in report.label_issues.worst} if report.label_issues else set()
    return {
        row: Sight(
            clip_wav(random.normal(0, 0.1, 13_230), 22_050, 0.6),
            clip_picture(random.random((16, 16)).astype(np.float32), 0.3, f"row {row}"),
        )
        for row in rows
    }


@pytest.fixture(scope="module")
def report() -> EvaluationReport:
    return report_of(case())


@pytest.fixture(scope="module")
def page(report: EvaluationReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("evaluation page") / "evaluation.html"
    write_page(evaluation_page(report, sights(report)), path)
    return path


def test_the_figures_are_those_of_the_record(report: EvaluationReport, page: Path) -> None:
    text = page.read_text()
    assert f'<div class="big">{report.macro_f1_present:.3f}</div>' in text
    low, high = report.intervals["macro_f1_present"] or (0.0, 0.0)
    assert f"{low:.3f} to {high:.3f} (95% interval over 3 sessions)" in text
    for label, row in report.per_class.items():
        if row.support:
            assert f"{row.f1:.3f} [{(row.f1_interval or (0, 0))[0]:.3f}" in text, label
            assert f"{label}: {row.support:,} true" in text
    assert "macro F1 over the 11 classes with true hits" in text
    assert f"Mean absolute error {report.velocity_mae:.3f}" in text
    assert f"Mean absolute error {report.openness_mae:.3f}" in text
    assert f"Expected calibration error {report.calibration.ece:.4f}" in text


def test_every_moment_named_has_a_player(report: EvaluationReport, page: Path) -> None:
    text = page.read_text()
    mistakes = [mistake for pair in report.mistake_pairs for mistake in pair.hardest]
    assert len(mistakes) == 24
    assert text.count("<audio") == text.count("data:audio/wav;base64,") == 24 + 24
    assert text.count('class="picture"') == 48
    for mistake in mistakes:
        assert f"{mistake.audio_path.replace('<', '&lt;').replace('>', '&gt;')} at" in text
    assert "Counted as wrongly labelled: 15 moments of 120" in text
    assert "Shown: 24 of the 30" in text
    # What a real page of this many clips may weigh.
    assert len(text) < 4_000_000


def test_names_are_text(page: Path) -> None:
    text = page.read_text()
    assert HOSTILE not in text
    assert "&lt;img src=http://evil.example/x&gt;" in text


def test_a_perfect_model_and_a_single_session() -> None:
    truth = np.zeros((10, 12), bool)
    truth[:, 0] = True
    found = planted_evaluation(truth, truth.astype(float), ["one"] * 10).summary
    text = render(evaluation_page(found, {}))
    assert '<div class="big">1.000</div>' in text
    assert "There is no mistake in this split." in text
    assert "No interval: all moments are of one session" in text
    assert "over the one class with true hits" in text
    assert "<h2>Velocity</h2>" not in text and "Likely label errors" not in text


def test_the_picture_shows_the_features() -> None:
    """Decoded again: the lowest band is the last row, 1 is the lightest colour."""
    import base64
    import zlib

    features = np.zeros((4, 6), np.float32)
    features[0, 2] = 1.0  # the lowest band
    features[3, 5] = 0.5
    found = re.search('base64,([^"]+)', str(clip_picture(features, 0.25, "t")))
    assert found
    png = base64.b64decode(found[1])
    start = png.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(png[start:-16]), np.uint8).reshape(4, 7)[:, 1:]
    assert rows[3, 2] == 255 and rows[0, 5] == 128 and rows.sum() == 383
    assert colour_map()[255].sum() > colour_map()[0].sum()


def test_a_clip_without_sound_has_no_player() -> None:
    picture = clip_picture(np.zeros((2, 2)), 0.5, "t")
    assert Clip("pitch", [], Sight(None, picture)).player is None


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_it_says_nothing_asks_for_nothing_and_fits_a_phone(browser: Browser, page: Path) -> None:
    seen = browser.open(page.as_uri())
    assert seen.messages == []
    assert all(re.match("(file|data):", address) for address in seen.addresses)
    assert browser.run("document.querySelectorAll('img, script').length") == 1
    browser.show(PHONE_PX)
    assert browser.run("document.documentElement.scrollWidth") == PHONE_PX
    browser.show()
    outside = browser.run("""(() => {
      for (const details of document.querySelectorAll("details")) details.open = true;
      return [...document.querySelectorAll("svg.chart text")].filter((text) => {
        const box = text.getBoundingClientRect();
        const paper = text.closest("svg.chart").getBoundingClientRect();
        return box.left < paper.left - 1 || box.right > paper.right + 1 || box.bottom > paper.bottom + 3;
      }).map((text) => text.textContent);
    })()""")
    assert outside == []


def test_every_sound_can_be_played(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    lengths = browser.run("""Promise.all([...document.querySelectorAll("audio")].map((audio) =>
      new Promise((done) => {
        if (audio.readyState) done(audio.duration);
        audio.onloadedmetadata = () => done(audio.duration);
        audio.onerror = () => done(-1);
        audio.load();
      })))""")
    assert len(lengths) == 48
    assert all(length == pytest.approx(0.6, abs=0.01) for length in lengths)
