"""The page: well formed, offline, escaped, complete, and alive in a real browser."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from beatsight.errors import InputError, UsageError
from beatsight.report import DemoReport, Page, Section, Verdict, demo_page, render, write_page
from beatsight.report.page import Column, Commands, Fact, Facts, Figure, Player, SideBySide, Table, Text
from beatsight.report.plots import meter
from beatsight.report.text import number

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balance(HTMLParser):
    """Collects what is not closed in order, addresses, and the plain text of every cell and paragraph."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def parse(html: str) -> Balance:
    parser = Balance()
    parser.feed(html)
    parser.close()
    return parser


def top_level_svgs(html: str) -> list[str]:
    """Every outermost <svg>…</svg>, as text."""
    found, depth, start = [], 0, 0
    for match in re.finditer(r"<svg\b[^>]*?(/?)>|</svg>", html):
        if match.group().startswith("</"):
            depth -= 1
            if depth == 0:
                found.append(html[start : match.end()])
        elif not match.group(1):
            if depth == 0:
                start = match.start()
            depth += 1
    return found


@pytest.fixture(scope="module")
def html(demo: DemoReport) -> str:
    return render(demo_page(demo))


def test_every_tag_is_closed_in_order(html: str) -> None:
    parser = parse(html)
    assert parser.faults == []
    assert parser.open == []


def test_every_drawing_is_well_formed_xml(html: str) -> None:
    drawings = top_level_svgs(html)
    assert len(drawings) > 15
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert all(address.startswith(("data:", "#")) for address in parse(html).addresses)
    assert not re.search(r"url\(|@import|https?://", html)
    assert "default-src 'none'" in html


def test_the_page_stays_under_six_megabytes(html: str) -> None:
    assert len(html.encode()) < 6_000_000


def test_every_number_of_the_tables_is_shown(demo: DemoReport, html: str) -> None:
    texts = set(parse(html).texts)
    for row in (*demo.hits, demo.total):
        assert {row.label, number(row.f1, 3), number(row.precision, 3), number(row.recall, 3)} <= texts
        assert {number(row.tp), number(row.fp), number(row.fn)} <= texts
    for clip in demo.classes:
        assert {number(clip.f1, 3), number(clip.support), number(clip.threshold, 2)} <= texts
    for song in demo.songs:
        assert {song.name, number(song.f1, 3), number(song.tempo_found, 1), number(song.tp)} <= texts
    for epoch in demo.history:
        assert {number(epoch.train_loss, 4), number(epoch.val_loss, 4), number(epoch.lr, 6)} <= texts
    for step, seconds in demo.seconds_by_step.items():
        assert {step, number(seconds, 2)} <= texts
    for counts in demo.dataset.counts.values():
        assert {number(count) for count in counts.values()} <= texts
    assert {str(count) for count in demo.confusion.flat} <= texts


def test_the_verdict_comes_first_and_follows_the_target(demo: DemoReport) -> None:
    for f1, word, css in ((0.85, "Target met", "good"), (0.849, "Target missed", "bad")):
        data = dataclasses.replace(demo, total=dataclasses.replace(demo.total, f1=f1))
        html = render(demo_page(data))
        assert html.index(word) < html.index("<h2>")
        assert f'<div class="verdict {css}">' in html
    nothing = dataclasses.replace(demo, total=dataclasses.replace(demo.total, f1=float("nan")))
    assert "No score" in render(demo_page(nothing))


def test_unknown_values_are_shown_as_a_dash(demo: DemoReport, html: str) -> None:
    china = next(row for row in demo.hits if row.label == "china")
    assert china.f1 is None and np.isnan(china.recall)
    row = re.search(r'<th scope="row">china</th>.*?</tr>', html, re.S)
    assert row is not None and row.group().count("–") == 3
    visible = re.sub(r"<style>.*?</style>|<script>.*?</script>|data:[^\"]*", "", html, flags=re.S)
    assert not re.search(r"\b(nan|None|inf)\b", visible)


def test_text_from_data_is_escaped(demo: DemoReport) -> None:
    evil = '<script>alert("1")</script>'
    song = dataclasses.replace(demo.songs[0], name=evil, style="</td><b>")
    step = {evil: 1.0}
    example = dataclasses.replace(
        demo.example, name=evil, true_hits=[dataclasses.replace(demo.example.true_hits[0], label=evil)]
    )
    data = dataclasses.replace(
        demo, title=evil, machine=evil, songs=[song], seconds_by_step=step, example=example,
        outputs=[(evil, evil)], next_commands=[(evil, evil)],
    )  # fmt: skip
    html = render(demo_page(data))
    assert "<script>alert" not in html and "<b>" not in html
    assert html.count("<script>") == 1
    assert "&lt;script&gt;alert" in html
    parser = parse(html)
    assert (parser.faults, parser.open) == ([], [])
    for drawing in top_level_svgs(html):
        ElementTree.fromstring(drawing)


def test_an_empty_run_still_makes_a_page(demo: DemoReport) -> None:
    example = dataclasses.replace(
        demo.example, audio=np.zeros(100, np.float32), true_hits=[], found_hits=[], beats_s=[], tempo_bpm=None
    )
    data = dataclasses.replace(
        demo, history=[], classes=[], songs=[], hits=[], seconds_by_step={}, confusion_labels=(),
        confusion=np.zeros((0, 0), int), example=example, outputs=(), next_commands=(),
    )  # fmt: skip
    html = render(demo_page(data))
    assert "No network was trained in this run." in html
    assert "no data" in html
    assert parse(html).faults == []


def test_no_part_is_left_out() -> None:
    """Each kind of part reaches the page: a template that forgets one would drop results in silence."""
    table = Table((Column("label"), Column("F", 1, bar=True)), [("kick", 0.5)], "a caption", ("sum", 0.25))
    figure = Figure(meter(0.5, None), "a drawing", table)
    commands = Commands((("run it", "why"),))
    beside = SideBySide((Text("left"), Text("right")))
    parts = (Text("some words"), table, Facts((Fact("a fact", "7", "noted"),)), commands, figure, beside)
    page = Page("title", (Section("one", parts, "intro"),), "sub", facts=Facts((Fact("tile", "8"),)))
    html = render(page)
    texts = parse(html).texts
    wanted = "some words|a caption|a fact|noted|run|it|why|a drawing|left|right|sub|tile|8|sum|0.5|one|intro"
    assert set(wanted.split("|")) <= set(texts)
    assert texts.count("kick") == 2
    assert html.count("--share:50.0%") == 2


def test_the_gauge_shows_value_and_target() -> None:
    html = render(Page("t", (), verdict=Verdict("1", "n", None, "r", share=0.5, target=0.7)))
    assert 'class="verdict open"' in html
    assert 'width="50.0%"' in html and 'x1="70.0%"' in html


def test_a_ragged_table_is_refused() -> None:
    with pytest.raises(UsageError, match=r"3 cells for 2 columns \(label, F\)"):
        Table((Column("label"), Column("F")), [("kick", 1, 2)])


def test_a_confusion_matrix_of_the_wrong_size_is_refused(demo: DemoReport) -> None:
    with pytest.raises(UsageError, match=r"shape \(2, 3\) for 12 labels"):
        dataclasses.replace(demo, confusion=np.zeros((2, 3), int))


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(InputError, match=r"taken\.html: is a folder"):
        write_page(Page("t", ()), tmp_path / "taken.html")


def test_the_same_data_give_the_same_bytes(demo: DemoReport, html: str, tmp_path: Path) -> None:
    write_page(demo_page(demo), tmp_path / "out" / "demo.html")
    assert (tmp_path / "out" / "demo.html").read_text(encoding="utf-8") == html


def test_a_player_carries_its_sound() -> None:
    assert Player("song", b"RIFF").source == "data:audio/wav;base64,UklGRg=="


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_page_and_seeks_on_a_click(html: str, tmp_path: Path) -> None:
    # A click in the middle of the tracks must move the sound, and with it the cursor, to the middle; and on a
    # phone 360 pixels wide nothing but tables and tracks, which scroll by themselves, may be wider.
    probe = """<script>addEventListener("load", () => {
      const box = document.querySelector(".sheet").getBoundingClientRect();
      const middle = {clientX: box.left + box.width / 2, bubbles: true};
      document.querySelector(".sheet").dispatchEvent(new MouseEvent("click", middle));
      document.documentElement.style.width = "360px";
      const at = document.querySelector("audio").currentTime.toFixed(1);
      document.title = `${at} s, ${document.body.scrollWidth} px`;
    })</script></body>"""
    page = tmp_path / "demo.html"
    page.write_text(html.replace("</body>", probe), encoding="utf-8")
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--window-size=500,900",
        f"--screenshot={tmp_path / 'page.png'}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert re.search(r'class="cursor" style="left: 50(\.0\d*)?%;?"', run.stdout)
    assert "<title>10.0 s, 360 px</title>" in run.stdout
    assert not re.search(r'class="zoom"[^>]* hidden', run.stdout)
    assert (tmp_path / "page.png").stat().st_size > 10_000
