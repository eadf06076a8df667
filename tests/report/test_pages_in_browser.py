"""Pages in a real browser: silent, offline, no wider than a phone, whole on paper, readable in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser

from beatsight.gates.readiness import Part, ReadinessReport
from beatsight.gates.result import GateReport, at_least
from beatsight.report import DemoReport, Page, Section, demo_page, write_page
from beatsight.report.gates import write_gate_page
from beatsight.report.gates.results import MOST_OPEN, result_parts
from beatsight.report.page import Column, Figure, Table
from beatsight.report.plots import Band, Reference, Series, xy_chart

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

# A4 between its margins.
PAPER_PX = 700
PHONE_PX = 390


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def pages(
    demo: DemoReport, readiness: ReadinessReport, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One page of each kind, in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("pages of gates")
    kinds: dict[str, GateReport] = {"readiness": readiness}
    kinds |= {part.name.split(":")[0]: part.report for part in readiness.parts if part.report is not None}
    for name, report in kinds.items():
        write_gate_page(report, folder / f"{name}.html")
    write_page(demo_page(demo), folder / "demo.html")
    return {name: folder / f"{name}.html" for name in ["demo", *kinds]}


def test_no_page_says_anything_or_asks_for_anything(browser: Browser, pages: dict[str, Path]) -> None:
    assert len(pages) == 10
    for name, path in pages.items():
        seen = browser.open(path.as_uri())
        assert seen.messages == [], name
        assert all(re.match("(file|data):", address) for address in seen.addresses), name
        assert path.as_uri() in seen.addresses
        # Text of the inputs became no element, and nothing of it ran.
        assert browser.run("document.querySelectorAll('img, script').length") == 1, name


def test_a_page_that_talks_or_phones_home_would_be_noticed(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<img src='http://127.0.0.1:9/picture.png'><script>console.error('a fault');"
        "fetch('https://localhost:9/x');"
        "setTimeout(() => nobody())</script>",
        encoding="utf-8",
    )
    seen = browser.open(bad.as_uri())
    assert {"http://127.0.0.1:9/picture.png", "https://localhost:9/x"} <= set(seen.addresses)
    assert "a fault" in seen.messages
    assert any("nobody is not defined" in message for message in seen.messages)


def test_no_page_is_wider_than_a_phone(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.show(PHONE_PX)
    for name, path in pages.items():
        browser.open(path.as_uri())
        assert browser.run("innerWidth") == PHONE_PX
        assert browser.run("document.documentElement.scrollWidth") == PHONE_PX, name
    part = Part(name="alignment: " + "sessions/" * 9 + "one.json", status="error", error="gone")
    run = ReadinessReport(passed=False, gating_results=[], inputs={}, parts=[part], not_configured=[])
    write_gate_page(run, tmp_path / "long.html")
    browser.open((tmp_path / "long.html").as_uri())
    assert browser.run("document.documentElement.scrollWidth") == PHONE_PX
    wide = tmp_path / "wide.html"
    wide.write_text("<div style='width: 600px'>x</div>", encoding="utf-8")
    browser.open(wide.as_uri())
    assert browser.run("document.documentElement.scrollWidth") > PHONE_PX
    browser.show()


def test_every_text_stays_inside_its_drawing(browser: Browser, pages: dict[str, Path]) -> None:
    count = 0
    for name, path in pages.items():
        browser.open(path.as_uri())
        texts, outside = browser.run("""(() => {
          for (const details of document.querySelectorAll("details")) details.open = true;
          const texts = [...document.querySelectorAll("svg.chart text")];
          return [texts.length, texts.filter((text) => {
            const box = text.getBoundingClientRect();
            const paper = text.closest("svg.chart").getBoundingClientRect();
            return box.left < paper.left - 1 || box.right > paper.right + 1 || box.bottom > paper.bottom + 3;
          }).map((text) => text.textContent)];
        })()""")
        assert outside == [], name
        count += texts
    assert count > 500


def test_paper_shows_results_that_are_folded_away_on_screen(browser: Browser, tmp_path: Path) -> None:
    parts = result_parts([at_least(f"gate {n}", 2, 1) for n in range(MOST_OPEN + 1)])
    write_page(Page("t", [Section("s", parts), Section("a", []), Section("b", [])]), tmp_path / "t.html")
    browser.open((tmp_path / "t.html").as_uri())
    height = "Math.round(document.body.getBoundingClientRect().height)"
    folded = browser.run(height)
    browser.show(media="print")
    assert browser.run(height) > folded + 200
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.show()
    assert browser.run(height) == folded
    # Where the style cannot do it, the script does.
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(height) > folded + 200
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(height) == folded


def test_paper_cuts_no_table_and_prints_no_closed_one(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["calibration"].as_uri())
    browser.show(PAPER_PX, media="print")
    cut, closed = browser.run("""(() => {
      const boxes = [...document.querySelectorAll(".side .table-scroll")].filter((box) => box.clientWidth);
      const closed = [...document.querySelectorAll("details:not([open]):not(.keep)")];
      return [boxes.filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent),
              closed.map((one) => one.getBoundingClientRect().height)];
    })()""")
    browser.show()
    assert cut == []
    assert closed and not any(closed)


def test_colours_follow_the_scheme_and_paper_is_light(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["openset"].as_uri())
    light = "getComputedStyle(document.body).{}.match(/\\d+/g).reduce((sum, n) => sum + Number(n), 0)"
    paper, ink = light.format("backgroundColor"), light.format("color")
    for scheme, media, dark in (("light", "screen", 0), ("dark", "screen", 1), ("dark", "print", 0)):
        browser.show(media=media, scheme=scheme)
        assert browser.run(f"{paper} < {ink}") == bool(dark), (scheme, media)
    browser.show()


def test_texts_of_a_chart_do_not_touch(browser: Browser, tmp_path: Path) -> None:
    """What the browser measures, where the drawing could only estimate."""
    names = [
        "overhead left",
        "WWWWWWWWWWWWWWWW",
        "room microphone at the back",
        "スネアドラムのマイク",
        "kick in",
        "kick out",
        "tom 1",
        "tom 2",
    ]
    series = [Series(name, [0.0, 1e7], [n * 1e5, -n * 1e5]) for n, name in enumerate(names)]
    references = [Reference(2e5, "first gate"), Reference(2.1e5, "second gate"), Reference(5e6, "cut", "x"),
                  Reference(5.1e6, "another cut", "x")]  # fmt: skip
    chart = xy_chart(
        "t", series, "time (s)", "delay (samples)", bands=[Band(-1e5, 1e5, "allowed")], references=references
    )
    table = Table([Column("n")], [[n] for n in range(40)])
    write_page(Page("t", [Section("s", [Figure(chart, "c", table)])]), tmp_path / "chart.html")
    browser.open((tmp_path / "chart.html").as_uri())
    touching = browser.run("""(() => {
      const all = [...document.querySelectorAll("svg.chart text")];
      const texts = all.map((t) => [t.textContent, t.getBoundingClientRect()]);
      const found = [];
      texts.forEach(([a, p], i) => texts.slice(i + 1).forEach(([b, q]) => {
        const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
        const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (across > 1 && down > 6) found.push(a + " / " + b);
      }));
      return [texts.length, found];
    })()""")
    assert touching[0] > 20
    assert touching[1] == []
