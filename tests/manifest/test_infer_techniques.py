"""Techniques: planted ones of every kind, and all rules once more in plain Python over odd events."""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import event_strategies
import pytest
from event_strategies import odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from beatsight.errors import InputError, UsageError
from beatsight.events import read_records, to_builtins, write_records
from beatsight.events.records import Event
from beatsight.manifest.technique_rules import TECHNIQUES, modulations
from beatsight.manifest.techniques import annotate_techniques
from beatsight.taxonomy import is_known, load_techniques, resolve

Row = dict[str, Any]


def row(time: float, *components: Row | str, **keys: Any) -> Row:
    """An event of session s; a component may be just a label."""
    parts = [{"label": part} if isinstance(part, str) else part for part in components]
    return {"sample_id": f"at {time}", "session_id": "s", "onset_time": time, "components": parts} | keys


def annotated(folder: Path, rows: list[Row], name: str = "events.jsonl") -> list[set[str]]:
    """The techniques of every row after the work."""
    path = write_jsonl(folder / "in.jsonl", rows)
    if name.endswith(".parquet"):
        write_records(folder / name, read_records(path, Event))
        path = folder / name
    annotate_techniques(path, folder / "out.jsonl")
    lines = (folder / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == len(rows)
    return [set(json.loads(line).get("techniques") or []) for line in lines]


# -- the rules once more, in loops ---------------------------------------------------------------------------

SLACK = 1e-9
FROM_LABEL = {
    "rimshot": "rimshot", "cross_stick": "cross_stick", "ride_bell": "ride_bell",
    "hihat_pedal": "hihat_foot_chick", "hihat_foot_splash": "hihat_foot_splash",
    "snare_off": "snares_off_playing",
}  # fmt: skip
FLAM_DRUMS = {"snare": "snare", "snare_off": "snare", "rimshot": "snare"} | {
    tom: tom for tom in ("tom_high", "tom_mid", "tom_low")
}
CYMBAL_CLASSES = {"crash": "crash", "crash2": "crash", "splash": "splash", "china": "china"} | {
    zone: "ride" for zone in ("ride_bow", "ride_bell", "ride_edge")
}
PIECES = {
    "rimshot": "snare",
    "cross_stick": "snare",
    "snare_off": "snare",
    "crash": "crash",
    "crash2": "crash2",
} | {zone: "ride" for zone in ("ride_bow", "ride_bell", "ride_edge")}


class Hit:
    """One component with what the rules ask about it."""

    def __init__(self, index: int, event: Row, part: Row) -> None:
        self.index, self.time, self.part = index, event["onset_time"], part
        self.take = (event["session_id"], event.get("audio_path") is not None, event.get("audio_path") or "")
        self.label = resolve(part["label"])
        self.velocity = part.get("velocity")
        openness = part.get("openness")
        self.stick_hat = self.label in ("hihat_closed", "hihat_open", "hihat_half")
        self.is_open = self.stick_hat and (
            self.label != "hihat_closed" if openness is None else openness >= 0.2
        )
        self.is_closed = self.label == "hihat_pedal" or (self.stick_hat and not self.is_open)
        self.cymbal = CYMBAL_CLASSES.get(self.label)
        self.mark, self.said = self._mark()

    def _mark(self) -> tuple[tuple[str, str], bool]:
        variant = "_".join(
            re.split(r"[\s\-_/]+", (self.part.get("instrument_variant") or "").strip().lower())
        )
        label = "_".join(re.split(r"[\s\-_/]+", self.part["label"].strip().lower()))
        if variant.strip("_"):
            if end := re.search(r"\d+$", variant):
                return ("number", str(int(end.group()))), True
            return ("name", variant.strip("_")), True
        if self.label == "crash2":
            return ("number", "2"), True
        end = re.search(r"\d+$", label)
        return ("number", str(int(end.group())) if end else "1"), end is not None

    def alone(self) -> set[str]:
        """What the component shows by itself."""
        found = {FROM_LABEL[self.label]} if self.label in FROM_LABEL else set()
        position = self.part.get("strike_position")
        if self.label == "ride_bow" and position == "bell":
            found.add("ride_bell")
        if self.stick_hat and position == "bell":
            found.add("hihat_bell")
        openness = self.part.get("openness")
        if self.stick_hat and (self.label == "hihat_half" if openness is None else 0.2 <= openness < 0.7):
            found.add("hihat_half_open")
        soft = self.part.get("dynamic_bucket") == "ghost" if self.velocity is None else self.velocity < 0.15
        if self.label in ("snare", "snare_off") and soft:
            found.add("ghost_note")
        if self.part.get("choke"):
            found |= {"cymbal_choke"} if self.cymbal else {"hihat_bark"} if self.is_open else set()
        return found


def expected(events: list[Row]) -> list[set[str]]:
    """What every event shows, by the text of technique_rules, without a database."""
    found: list[set[str]] = [set() for _ in events]
    takes: dict[Any, list[Hit]] = defaultdict(list)
    numbered = [(i, e) for i, e in enumerate(events) if not e.get("negative_example")]
    for index, event in numbered:
        hits = [Hit(index, event, part) for part in event["components"] if is_known(part["label"])]
        for hit in hits:
            found[index] |= hit.alone()
            takes[hit.take].append(hit)
        hands = [hit for hit in hits if hit.label in ("clap", "tambourine", "shaker")]
        no_kit = ("clap", "tambourine", "shaker", "cowbell", "aux_percussion")
        pieces = {
            "hat" if h.label.startswith("hihat") else PIECES.get(h.label, h.label)
            for h in hits if h.label not in no_kit
        }  # fmt: skip
        if len(pieces) >= 3:
            found[index].add("layered_hits")
        if hands and pieces:
            found[index].add("layered_percussion")
        for hit in hits:
            same = [other for other in hits if other.label == hit.label and hit.cymbal]
            if len(same) > 1 and not (all(h.said for h in same) and len({h.mark for h in same}) == 1):
                found[index].add("multi_cymbal_same_class")
    for hits in takes.values():
        expect_barks(hits, found)
        expect_flams(hits, found)
        expect_cymbals(hits, found)
    expect_further_cymbals(takes, found)
    expect_changes(numbered, found)
    return found


def expect_barks(hits: list[Hit], found: list[set[str]]) -> None:
    hats = [hit for hit in hits if hit.label.startswith("hihat")]
    times = sorted({hit.time for hit in hats})
    for time, after in pairwise(times):
        now = [hit for hit in hats if hit.time == time]
        then = [hit for hit in hats if hit.time == after]
        opened = any(h.is_open for h in now) and not any(h.is_closed for h in now)
        closed = any(h.is_closed for h in then) and not any(h.is_open for h in then)
        if opened and closed and 0.04 - SLACK <= after - time <= 0.2 + SLACK:
            for hit in now:
                if hit.is_open:
                    found[hit.index].add("hihat_bark")


def expect_flams(hits: list[Hit], found: list[set[str]]) -> None:
    for drum in set(FLAM_DRUMS.values()):
        strokes: list[list[Hit]] = []
        before = None
        for hit in sorted((h for h in hits if FLAM_DRUMS.get(h.label) == drum), key=lambda h: h.time):
            if before is not None and hit.time - before < 0.015 - SLACK:
                strokes[-1].append(hit)
            else:
                strokes.append([hit])
            before = hit.time
        levels = [max((h.velocity for h in s if h.velocity is not None), default=None) for s in strokes]
        starts = [stroke[0].time for stroke in strokes]
        for at, stroke in enumerate(strokes):
            graces = at
            while graces > 0 and starts[graces] - starts[graces - 1] <= 0.06 + SLACK:
                graces -= 1
            soft = [softer(level, levels[at]) for level in levels[graces:at]]
            is_grace = (
                at + 1 < len(strokes)
                and starts[at + 1] - starts[at] <= 0.06 + SLACK
                and softer(levels[at], levels[at + 1])
            )
            if len(soft) in (1, 2) and all(soft) and not is_grace:
                for hit in stroke:
                    found[hit.index].add("flam" if len(soft) == 1 else "drag")


def softer(grace: float | None, main: float | None) -> bool:
    return grace is not None and main is not None and grace <= 0.7 * main


def expect_cymbals(hits: list[Hit], found: list[set[str]]) -> None:
    cymbals = sorted((hit for hit in hits if hit.cymbal), key=lambda h: h.time)
    for hit in cymbals:
        near = [h for h in cymbals if abs(h.time - hit.time) <= 0.02 + SLACK and h.cymbal == hit.cymbal]
        if hit.cymbal == "crash" and len({h.label for h in near}) == 2:
            found[hit.index] |= {"crash_dual_label", "multi_cymbal_same_class"}
        if any(len({h.mark for h in near if h.mark[0] == kind}) > 1 for kind in ("number", "name")):
            found[hit.index].add("multi_cymbal_same_class")


def expect_further_cymbals(takes: dict[Any, list[Hit]], found: list[set[str]]) -> None:
    firsts: dict[Any, dict[Any, Any]] = defaultdict(dict)
    for take in sorted(takes):
        for hit in sorted((hit for hit in takes[take] if hit.cymbal), key=lambda h: h.time):
            firsts[take[0], hit.cymbal, hit.mark[0]].setdefault(hit.mark, (take, hit.time))
    for take, hits in takes.items():
        for hit in hits:
            if hit.cymbal:
                heard = firsts[take[0], hit.cymbal, hit.mark[0]]
                if heard[hit.mark] == (take, hit.time) and heard[hit.mark] > min(heard.values()):
                    found[hit.index].add("multi_cymbal_same_class")


def expect_changes(numbered: list[tuple[int, Row]], found: list[set[str]]) -> None:
    for key, technique in (("tempo_bpm", "metric_modulation"), ("meter", "variable_meter")):
        takes: dict[Any, dict[float, set[Any]]] = defaultdict(lambda: defaultdict(set))
        for _, event in numbered:
            if event.get(key) is not None:
                takes[event["session_id"], event.get("audio_path")][event["onset_time"]].add(event[key])
        marked = set()
        for take, moments in takes.items():
            clear = [(time, *values) for time, values in sorted(moments.items()) if len(values) == 1]
            if key == "meter":
                times = [b[0] for a, b in pairwise(clear) if a[1] != b[1]]
            else:
                times = [time for at, (time, _) in enumerate(clear) if is_modulation(clear, at)]
            marked |= {(take, time) for time in times}
        for index, event in numbered:
            if ((event["session_id"], event.get("audio_path")), event["onset_time"]) in marked:
                found[index].add(technique)


def is_modulation(points: list[tuple[float, float]], at: int) -> bool:
    """Whether the tempo steps by a named ratio at one of the moments, moment by moment."""
    if at == 0:
        return False
    old, new = points[at - 1][1], points[at][1]
    ratios = [2, 3, 3 / 2, 4 / 3, 5 / 2, 5 / 3, 5 / 4, 8 / 3, 8 / 5]
    step = max(old, new) / min(old, new)
    if not any(abs(step / ratio - 1) <= 0.025 for ratio in ratios):
        return False
    for tempo, pairs in (
        (new, list(zip(points[at:], points[at + 1 :], strict=False))),
        (old, list(zip(points[at - 1 :: -1], points[at:0:-1], strict=False))),
    ):
        beats = 0.0
        for (start, bpm), (end, _) in pairs:
            if abs(bpm / tempo - 1) > 0.025:
                return False
            beats += (end - start) * bpm / 60
            if beats >= 4 - 1e-6:
                break
        else:
            return False
    return True


def assert_as_expected(folder: Path, events: list[Row], name: str) -> None:
    found = annotated(folder, events, name)
    for event, got, shown in zip(events, found, expected(events), strict=True):
        assert got == shown | set(event.get("techniques") or []), event


@pytest.mark.parametrize("name", ["events.jsonl", "events.parquet"])
def test_twenty_thousand_odd_events(tmp_path: Path, name: str) -> None:
    events = odd_events(20_000, seed=5)
    assert_as_expected(tmp_path, events, name)
    shown = set().union(*expected(events))
    # The odd events name neither of these two.
    assert set(TECHNIQUES) - {"snares_off_playing", "hihat_foot_splash"} == shown


@settings(max_examples=20)
@given(events=st.lists(event_strategies.event_dicts, min_size=1, max_size=12))
@pytest.mark.parametrize("name", ["events.jsonl", "events.parquet"])
def test_short_lists_of_odd_events(
    tmp_path_factory: pytest.TempPathFactory, name: str, events: list[Row]
) -> None:
    assert_as_expected(tmp_path_factory.mktemp("odd"), events, name)


# -- planted answers -----------------------------------------------------------------------------------------


def test_every_name_is_in_the_catalogue() -> None:
    assert set(TECHNIQUES) <= set(load_techniques())


def test_bark_is_an_open_hat_soon_closed(tmp_path: Path) -> None:
    events = [
        row(1.0, "kick", "hihat_open"), row(1.125, "Closed Hi-Hat"),  # by stick
        row(2.0, "hihat_half"), row(2.2, "hihat_pedal"),  # by foot, at the limit
        row(3.0, "hihat_open"), row(3.25, "hihat_closed"),  # an open eighth at 120
        row(4.0, "hihat_open"), row(4.1, "hihat_open"), row(4.2, "hihat_closed"),  # the second only
        row(5.0, "hihat_open"), row(5.1, "hihat_foot_splash"), row(5.15, "hihat_closed"),  # rings on
        row(6.0, {"label": "hihat_closed", "openness": 0.6}),
        row(6.1, {"label": "hihat_open", "openness": 0.1}),  # as measured
        row(7.0, "hihat_open", "hihat_closed"), row(7.1, "hihat_closed"),  # says both
        row(8.0, "hihat_open"), row(8.01, "hihat_pedal"),  # one moment
        row(9.0, {"label": "hihat_open", "choke": True}),
    ]  # fmt: skip
    found = annotated(tmp_path, events)
    barks = [event["onset_time"] for event, names in zip(events, found, strict=True) if "hihat_bark" in names]
    assert barks == [1.0, 2.0, 4.1, 6.0, 9.0]


def test_order_of_rows_and_other_takes_do_not_matter(tmp_path: Path) -> None:
    opened, closed = row(1.0, "hihat_open", audio_path="a.wav"), row(1.1, "hihat_closed", audio_path="a.wav")
    others = [
        row(1.05, "hihat_open", audio_path="b.wav"), row(1.05, "hihat_open", session_id="t"),
        row(1.05, "hihat_open", negative_example=True, audio_path="a.wav"),
    ]  # fmt: skip
    found = annotated(tmp_path, [closed, *others, opened, opened])
    assert ["hihat_bark" in names for names in found] == [False, False, False, False, True, True]


def stroke(time: float, velocity: float, label: str = "snare") -> Row:
    return row(time, {"label": label, "velocity": velocity})


def test_flams_and_drags(tmp_path: Path) -> None:
    events = [
        stroke(1.0, 0.3), stroke(1.03, 0.8, "rimshot"),  # a flam
        stroke(2.0, 0.2), stroke(2.05, 0.2), stroke(2.1, 0.8),  # a drag
        stroke(3.0, 0.6), stroke(3.03, 0.8),  # not much softer
        stroke(4.0, 0.3), stroke(4.03, 0.8, "tom_high"),  # two drums
        stroke(5.0, 0.3), stroke(5.07, 0.8),  # two notes
        stroke(6.0, 0.2), stroke(6.05, 0.2), stroke(6.1, 0.2), stroke(6.15, 0.8),  # a roll
        stroke(7.0, 0.8), stroke(7.03, 0.3),  # falling
        stroke(8.0, 0.1), stroke(8.05, 0.3), stroke(8.1, 0.8),  # a drag that swells
        stroke(9.0, 0.3), stroke(9.01, 0.8),  # one stroke labelled twice
        stroke(10.0, 0.3, "floor tom"), stroke(10.06, 0.8, "tom_low"),  # by two names, at the limit
    ]  # fmt: skip
    found = annotated(tmp_path, events)
    shown = {
        event["onset_time"]: name
        for event, names in zip(events, found, strict=True)
        for name in names & {"flam", "drag"}
    }
    assert shown == {1.03: "flam", 2.1: "drag", 8.1: "drag", 10.06: "flam"}


@pytest.mark.parametrize(
    ("after", "is_one"),
    [
        (180, True), (160, True), (150, True), (240, True), (80, True), (90, True), (60, True), (192, True),
        (182, True), (122, False), (126, False), (140, False), (100, False), (120 * 8 / 7, False),
        (186, False), (480, False),
    ],
)  # fmt: skip
def test_metric_modulation_is_a_named_ratio(tmp_path: Path, after: float, is_one: bool) -> None:
    beats = [(0.5 * n, 120) for n in range(8)] + [(4 + 60 / after * n, after) for n in range(8)]
    found = annotated(tmp_path, [row(time, "kick", tempo_bpm=tempo) for time, tempo in beats])
    assert [n for n, names in enumerate(found) if "metric_modulation" in names] == ([8] if is_one else [])


def test_metric_modulation_is_a_step_that_lasts() -> None:
    def seconds(*plateaus: tuple[float, float]) -> tuple[list[float], list[float]]:
        times = [0.0]
        for tempo, beats in plateaus:
            times.append(times[-1] + beats * 60 / tempo)
        tempi = [tempo for tempo, _ in plateaus]
        return times, [*tempi, tempi[-1]]

    def count(*plateaus: tuple[float, float]) -> int:
        return len(list(modulations(*seconds(*plateaus))))

    assert count((120, 4), (180, 4)) == 1
    assert count((120, 8), (180, 16), (120, 8)) == 2
    assert count((120, 3), (180, 8)) == count((120, 8), (180, 3)) == 0
    assert count((120, 8), (240, 1), (120, 8)) == 0  # a slip of a beat tracker
    assert count((119, 3), (121, 3), (180, 2), (181, 2)) == 1  # nobody plays to the decimal
    assert count(*((120 + 3 * n, 1) for n in range(40))) == 0  # an accelerando to the double
    assert count(*((120 + 3 * n, 8) for n in range(40))) == 0


def test_variable_meter_is_where_a_meter_begins(tmp_path: Path) -> None:
    meters = ["4/4", None, "4/4", "7/8", "7/8", "4/4"]
    events = [row(n, "kick", meter=meter) for n, meter in enumerate(meters)]
    events += [row(3, "snare"), row(2.5, "kick", meter="4/4"), row(2.5, "kick", meter="3/4")]
    events += [row(9, "kick", meter="5/4", session_id="t")]
    found = annotated(tmp_path, events)
    assert [n for n, names in enumerate(found) if "variable_meter" in names] == [3, 5, 6]


def crash(label: str = "crash", variant: str | None = None) -> Row:
    return {"label": label, "instrument_variant": variant}


@pytest.mark.parametrize(
    ("parts", "is_one"),
    [
        ((crash(), crash()), True),
        ((crash(), crash("crash2")), True),
        ((crash(variant="crash_1"), crash(variant="crash_2")), True),
        ((crash(variant="left"), crash(variant="Right")), True),
        ((crash("ride"), crash("ride_2")), True),
        ((crash(variant="crash_2"), crash(variant="Crash 02")), False),
        ((crash("ride_bow"), crash("ride_bell")), False),
        ((crash(), crash("china")), False),
        ((crash(),), False),
    ],
)
def test_two_cymbals_of_a_class_in_one_moment(tmp_path: Path, parts: tuple[Row, ...], is_one: bool) -> None:
    (found,) = annotated(tmp_path, [row(1, *parts)])
    assert ("multi_cymbal_same_class" in found) == is_one
    assert ("crash_dual_label" in found) == ({p["label"] for p in parts} == {"crash", "crash2"})


def test_cymbals_over_a_moment_of_rows_and_over_a_session(tmp_path: Path) -> None:
    events = [
        row(5.0, crash()), row(5.02, crash("crash_2")),  # one moment
        row(1.0, crash(variant="crash_3")), row(2.0, crash(variant="crash_3")),
        row(3.0, crash(variant="crash_4")), row(1.0, crash(variant="crash_9"), audio_path="z.wav"),
        row(1.0, crash(variant="crash_9"), session_id="t"),
    ]  # fmt: skip
    found = annotated(tmp_path, events)
    assert ["multi_cymbal_same_class" in names for names in found] == [
        True, True, False, False, True, True, False,
    ]  # fmt: skip
    assert ["crash_dual_label" in names for names in found] == [True, True] + [False] * 5


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ({"label": "snare", "velocity": 0.1}, {"ghost_note"}),
        ({"label": "snare", "velocity": 0.15}, set()),
        ({"label": "snare", "dynamic_bucket": "ghost"}, {"ghost_note"}),
        ({"label": "snare_ghost", "velocity": 0.3}, {"ghost_note"}),
        ({"label": "kick", "velocity": 0.1}, set()),
        ({"label": "side stick"}, {"cross_stick"}),
        ({"label": "snare", "strike_position": "Rim"}, {"rimshot"}),
        ({"label": "snare", "strike_position": "cross-stick"}, {"cross_stick"}),
        ({"label": "tom_low", "strike_position": "rim"}, set()),
        ({"label": "snare_off"}, {"snares_off_playing"}),
        ({"label": "ride", "strike_position": "bell"}, {"ride_bell"}),
        ({"label": "crash", "choke": True}, {"cymbal_choke"}),
        ({"label": "hihat_closed", "strike_position": "cup"}, {"hihat_bell"}),
        ({"label": "hihat_pedal", "openness": 0.5}, {"hihat_foot_chick"}),
        ({"label": "hihat_splash"}, {"hihat_foot_splash"}),
        ({"label": "hihat_half"}, {"hihat_half_open"}),
        ({"label": "hihat_open", "openness": 0.69}, {"hihat_half_open"}),
        ({"label": "hihat_half", "openness": 0.7}, set()),
        ({"label": "vibraslap", "velocity": 0.1, "choke": True}, set()),
    ],
)
def test_what_one_component_shows(tmp_path: Path, part: Row, names: set[str]) -> None:
    assert annotated(tmp_path, [row(1, part)]) == [names]


def test_layers(tmp_path: Path) -> None:
    events = [
        row(1, "kick", "snare", "crash"),
        row(2, "ride_bow", "ride_bell", "kick"),
        row(3, "kick", "clap"),
    ]
    assert annotated(tmp_path, events) == [{"layered_hits"}, {"ride_bell"}, {"layered_percussion"}]


# -- files ---------------------------------------------------------------------------------------------------


def test_report_and_lines_kept_as_they_were(tmp_path: Path) -> None:
    kick, rim = '"components":[{"label":"kick"}]', '"components":[{"label":"rimshot"}]'
    huge = "1" + "0" * 40
    lines = [
        '{"sample_id": "a",  "session_id":"s","onset_time": 1.00,' + kick + ',"techniques":["z","a"]}',
        '{"sample_id":"b","session_id":"s","onset_time":2,"n":'
        + huge
        + ',"techniques":["swing","Rimshot","swing"],'
        + rim
        + "}",
        '{"sample_id":"c","session_id":"s","onset_time":3,"n":1.50,"components":[{"label":"rimshot"},'
        '{"label":"?"}] }',
        '{"sample_id":"d","session_id":"s","onset_time":4,"techniques":null,"components":[],'
        '"negative_example":true}',
        '{"sample_id":"e","session_id":"s","onset_time":5,"techniques":null,' + rim + "}",
        '{"sample_id":"f","session_id":"s","onset_time":6,"techniques":["rimshot"],' + rim + "}",
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines) + "\n\n")
    report = annotate_techniques(path, None)
    assert path.read_text() == "\n".join(lines) + "\n\n"
    steps: list[tuple[int, int]] = []
    assert annotate_techniques(path, path, progress=lambda done, total: steps.append((done, total))) == report
    assert steps[-1][0] == steps[-1][1] and steps == sorted(steps)
    assert (report.events, report.negatives, report.changed_events) == (6, 1, 3)
    assert (report.found["rimshot"], report.added["rimshot"]) == (4, 3)
    assert set(report.found) == set(report.added) == set(TECHNIQUES)
    assert report.unknown_labels == {"?": 1}
    after = path.read_text().splitlines()
    assert [after[0], after[3], after[5]] == [lines[0], lines[3], lines[5]]
    assert after[2] == lines[2].rstrip("}") + ', "techniques": ["rimshot"]}'
    assert '["Rimshot","rimshot","swing"]' in after[1] and huge in after[1]
    assert json.loads(after[4])["techniques"] == ["rimshot"]
    before = path.read_bytes()
    assert annotate_techniques(path, path).changed_events == 0
    assert path.read_bytes() == before


def test_all_formats_give_the_same_events(tmp_path: Path) -> None:
    plain = write_jsonl(tmp_path / "in.jsonl", odd_events(400, seed=6))
    annotate_techniques(plain, tmp_path / "out.jsonl")
    wanted = [to_builtins(event) for event in read_records(tmp_path / "out.jsonl", Event)]
    for name in ("e.jsonl.gz", "e.jsonl.zst", "e.parquet"):
        write_records(tmp_path / name, read_records(plain, Event))
        annotate_techniques(tmp_path / name, tmp_path / name)
        assert [to_builtins(event) for event in read_records(tmp_path / name, Event)] == wanted


def test_a_file_cut_short_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(gzip.compress(write_jsonl(tmp_path / "e", odd_events(500, seed=7)).read_bytes())[:-200])
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"events\.jsonl\.gz: the compressed file is damaged after line \d+"):
        annotate_techniques(path, path)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"e", "events.jsonl.gz"}


def test_what_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no events$"):
        annotate_techniques(empty, None)
    bad = write_jsonl(tmp_path / "bad.jsonl", [row(1, "kick"), row(2, {"label": "snare", "velocity": 2})])
    with pytest.raises(InputError, match=r"bad\.jsonl:2: components\[0\]\.velocity: Expected float <= 1\.0$"):
        annotate_techniques(bad, bad)
    with pytest.raises(InputError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        annotate_techniques(tmp_path / "nowhere.jsonl", None)
    with pytest.raises(UsageError, match=r"out\.txt: its name must end in \.jsonl"):
        annotate_techniques(bad, tmp_path / "out.txt")


# -- the command ---------------------------------------------------------------------------------------------


def run(*words: str | Path) -> tuple[str, str]:
    from beatsight.cli.manifest import app

    done = CliRunner().invoke(app, ["techniques", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_command(tmp_path: Path) -> None:
    path = write_jsonl(
        tmp_path / "events.jsonl", [row(1, "hihat_open"), row(1.1, "hihat_pedal"), row(2, "gong")]
    )
    before = path.read_bytes()
    out, err = run(path, "--dry-run")
    assert re.search(r"^hihat_bark +1 +1$", out, re.MULTILINE)
    assert out.endswith("Would change 2 of 3 events.\n") and "to add to" in out
    assert err == "1 hits with unknown labels were passed over: 'gong'\n"
    out, _ = run(path, "-o", tmp_path / "out.jsonl", "--json")
    answer = json.loads(out)
    assert answer["changed_events"] == 2 and answer["output"] == str(tmp_path / "out.jsonl")
    assert answer["added"]["hihat_foot_chick"] == 1 and answer["unknown_labels"] == {"gong": 1}
    assert path.read_bytes() == before
    out, _ = run(path)
    assert out.endswith(f"{path}: wrote 3 events, 2 of them changed.\n")
    assert path.read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_samples_of_the_old_system(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "peer-examples" / "examples" / "events_health_example.jsonl"
    annotate_techniques(source, tmp_path / "out.jsonl")
    found = [event.techniques or [] for event in read_records(tmp_path / "out.jsonl", Event)]
    # s3 is a negative example; two crashes of s5 are what its list already says.
    assert found == [
        ["hihat_bark"], [], [], ["metric_modulation", "ride_bell"],
        ["multi_cymbal_same_class", "variable_meter"],
    ]  # fmt: skip
