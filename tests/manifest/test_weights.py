"""Sampling weights: planted answers, a plain-Python computation of the rules, odd rows, errors."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from beatsight.cli.manifest.weights import weights
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, read_records, write_records
from beatsight.manifest.sampling_profiles import (
    PACKAGED_PROFILES,
    WeightSettings,
    check_settings,
    load_profiles,
)
from beatsight.manifest.weights import boost_notes, sampling_weights, weight_of


def event(session: str, onset: float, **more: Any) -> dict[str, Any]:
    parts = [{"label": "kick"}]
    row = {"sample_id": f"{session}{onset}", "session_id": session, "onset_time": onset, "components": parts}
    return row | more


def as_parquet(source: Path) -> Path:
    target = source.with_suffix(".parquet")
    write_records(target, read_records(source, Event))
    return target


# The rules once more, in plain Python.


def same(value: Any) -> Any:
    if isinstance(value, dict):
        return ("object", tuple(sorted((key, same(item)) for key, item in value.items() if item is not None)))
    if isinstance(value, list):
        return ("list", tuple(same(item) for item in value))
    if isinstance(value, bool) or value is None:
        return ("word", value)
    return ("number", value) if isinstance(value, int | float) else ("text", value)


def key_of(row: dict[str, Any], fields: list[str]) -> tuple[Any, ...] | None:
    values = tuple(None if row.get(name) is None else same(row[name]) for name in fields)
    return None if all(value is None for value in values) else values


def expected(rows: list[dict[str, Any]], how: WeightSettings) -> dict[str, Any]:
    seen: set[Any] = set()
    groups: dict[str, list[tuple[set[str], bool]]] = {}
    out = Counter(events=len(rows))
    wanted = set(how.technique_filter or [])
    for row in rows:
        group = row.get(how.group_field)
        if not group:
            out["without_group"] += 1
            continue
        if how.dedupe_fields:
            key = key_of(row, how.dedupe_fields)
            if key is not None and key in seen:
                out["duplicates"] += 1
                continue
            seen.add(key)
        names = set(row.get("techniques") or [])
        matched = bool(wanted) and (wanted <= names if how.filter_match_all else bool(wanted & names))
        groups.setdefault(group, []).append((names, matched))
    found: dict[str, Any] = {}
    dropped: dict[str, int] = {}
    totals: Counter[str] = Counter()
    for group in sorted(groups):
        members = groups[group]
        if wanted and any(matched for _, matched in members):
            chosen = [names for names, matched in members if matched]
        elif wanted and not how.include_unmatched:
            out["unmatched_groups"] += 1
            chosen = []
        else:
            chosen = [names for names, _ in members]
        out["unmatched"] += len(members) - len(chosen)
        counted = chosen[: how.max_events_per_group]
        out["over_cap"] += len(chosen) - len(counted)
        if not chosen:
            continue
        if len(counted) < how.min_count:
            dropped[group] = len(counted)
            out["under_min_count"] += len(counted)
            continue
        techniques = Counter(name for names in counted for name in names)
        weight = (len(counted) + how.smoothing) ** -how.exponent
        for name, factor in how.technique_boosts.items():
            weight *= factor if name in techniques else 1
        weight = min(max(weight, how.min_weight), how.max_weight or math.inf)
        found[group] = {"count": len(counted), "weight": weight, "technique_counts": dict(techniques)}
        totals.update(techniques)
        out["counted"] += len(counted)
    return {"weights": found, "technique_totals": dict(totals), "dropped": dropped, "summary": out}


def check(source: Path, rows: list[dict[str, Any]], how: WeightSettings) -> None:
    want = expected(rows, how)
    if not want["weights"]:
        with pytest.raises(InputError, match=r"no event has the group field|so none gets a weight"):
            sampling_weights(source, how)
        return
    got = sampling_weights(source, how)
    weights_found = {name: group.weight for name, group in got.weights.items()}
    assert list(weights_found) == list(want["weights"])
    for name, group in want["weights"].items():
        assert weights_found[name] == pytest.approx(group["weight"], rel=1e-12)
        assert got.weights[name].count == group["count"]
        assert got.weights[name].technique_counts == group["technique_counts"]
    assert got.technique_totals == want["technique_totals"]
    summary = msgspec.to_builtins(got.summary)
    for name in summary.keys() - {"groups", "dropped_groups", "notes"}:
        assert summary[name] == want["summary"][name], name
    assert got.summary.dropped_groups == want["dropped"]
    parts = (
        summary[name] for name in ("without_group", "duplicates", "unmatched", "over_cap", "under_min_count")
    )
    assert summary["events"] == sum(parts) + summary["counted"]


ODD_SETTINGS = [
    WeightSettings(
        dedupe_fields=["session_id", "onset_time", "components"],
        max_events_per_group=15,
        technique_boosts={"hihat_bark": 0.75, "flam": 2.0},
        min_weight=0.05,
        max_weight=0.5,
    ),
    WeightSettings(
        group_field="audio_path",
        dedupe_fields=["session_id", "onset_time"],
        min_count=4,
        smoothing=1.5,
        exponent=0.8,
        technique_filter=["flam", "press roll"],
        include_unmatched=False,
        max_events_per_group=9,
    ),
    WeightSettings(
        group_field="kit_id",
        dedupe_fields=["qc", "extra", "日本", "components"],
        technique_filter=["flam", "drag"],
        filter_match_all=True,
        max_events_per_group=300,
    ),
    WeightSettings(group_field="source_set", dedupe_fields=["tags", "beat_index", "is_synthetic"]),
]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path, Path]:
    rows = odd_events(20_000, seed=6)
    source = write_jsonl(tmp_path_factory.mktemp("odd") / "odd.jsonl", rows)
    return rows, source, as_parquet(source)


@pytest.mark.parametrize("how", ODD_SETTINGS, ids=["prod", "filtered", "all-of", "tags"])
def test_equals_the_plain_computation_on_20_000_odd_rows(how: WeightSettings, odd: Any) -> None:
    rows, source, parquet = odd
    check(source, rows, how)
    check(parquet, rows, how)


SMALL_SETTINGS = st.builds(
    WeightSettings,
    group_field=st.sampled_from(("session_id", "audio_path", "kit_id")),
    min_count=st.integers(0, 2),
    smoothing=st.sampled_from((0.0, 1.0)),
    exponent=st.sampled_from((0.0, 0.5, 1.0)),
    technique_boosts=st.dictionaries(st.sampled_from(("flam", "drag")), st.sampled_from((0.5, 3.0))),
    dedupe_fields=st.sampled_from(
        (None, ["components"], ["onset_time", "session_id"], ["components", "onset_time"])
    ),
    max_events_per_group=st.sampled_from((None, 2, 3)),
    technique_filter=st.sampled_from((None, ["flam"], ["flam", "drag"])),
    filter_match_all=st.booleans(),
    include_unmatched=st.booleans(),
    max_weight=st.sampled_from((None, 0.9)),
)


@settings(max_examples=20)
@given(rows=st.lists(event_dicts, min_size=1, max_size=8), how=SMALL_SETTINGS)
def test_equals_the_plain_computation_on_any_rows(
    rows: list[dict[str, Any]], how: WeightSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = write_jsonl(tmp_path_factory.getbasetemp() / "any-weights.jsonl", rows)
    check(source, rows, how)
    check(as_parquet(source), rows, how)


def test_planted_weights(tmp_path: Path) -> None:
    rows = [event("a", index) for index in range(4)]
    rows += [event("b", index, techniques=["flam", "flam"]) for index in range(16)]
    rows += [event("c", 0)]
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    how = WeightSettings(technique_boosts={"flam": 1.5}, max_weight=0.6, min_count=2)
    report = sampling_weights(source, how, tmp_path / "w.json", profile="mine")
    assert {name: group.weight for name, group in report.weights.items()} == {"a": 0.5, "b": 0.375}
    assert report.weights["b"].technique_counts == {"flam": 16}
    assert report.technique_totals == {"flam": 16}
    assert report.summary.dropped_groups == {"c": 1}
    written = json.loads((tmp_path / "w.json").read_text())
    assert list(written) == ["parameters", "weights", "technique_totals", "summary"]
    assert written["weights"]["a"] == {"count": 4, "weight": 0.5, "technique_counts": {}}
    assert written["parameters"]["profile"] == "mine"
    assert written["parameters"]["group_field"] == "session_id"
    assert written["parameters"]["min_count"] == 2


def test_values_are_compared_and_not_their_spelling(tmp_path: Path) -> None:
    def hit(**more: Any) -> dict[str, Any]:
        return {"label": "kick", "velocity": 0.5} | more

    spellings = [
        [hit(openness=1, mic={"a": 1, "b": None}, pedal={"x": [1, True]})],
        [{"pedal": {"x": [1.0, True], "y": None}, "mic": {"a": 1.0}, "openness": 1.0} | hit()],
    ]
    zero = [
        [hit(openness=0.0)],
        [hit(openness=-0.0)],
        [hit(openness=0, choke=None)],
        [hit(openness=0, mic=None)],
    ]
    others = [
        [hit(openness=1, mic={"a": 1, "b": None}, pedal={"x": [1, 1]})],
        [hit(openness=1, mic={"a": "1"}, pedal={"x": [1, True]})],
        [hit(openness=1)],
        [hit(openness=1, pedal={})],
        [hit(openness=1), hit(openness=1)],
    ]
    rows = [event("a", 1, components=parts) for parts in [*spellings, *zero, *others]]
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    for path in (source, as_parquet(source)):
        report = sampling_weights(path, WeightSettings(dedupe_fields=["components"]))
        assert (report.summary.duplicates, report.summary.counted) == (1 + 3, 7)


def test_the_first_events_count_when_counting_stops(tmp_path: Path) -> None:
    rows = [event("a", index, techniques=["early" if index < 3 else "late"]) for index in range(9)]
    rows.insert(1, rows[0])
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    how = WeightSettings(dedupe_fields=["session_id", "onset_time"], max_events_per_group=4)
    assert sampling_weights(source, how).technique_totals == {"early": 3, "late": 1}


def test_an_event_without_any_dedupe_field_is_nobodys_duplicate(tmp_path: Path) -> None:
    rows = [
        event("a", 1),
        event("a", 2),
        event("a", 3, take=None),
        event("a", 4, take=7),
        event("a", 5, take=7.0),
    ]
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    for path in (source, as_parquet(source)):
        assert sampling_weights(path, WeightSettings(dedupe_fields=["take"])).weights["a"].count == 4


def test_all_formats_give_the_same_bytes(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "e.jsonl", odd_events(500, seed=3))
    wanted = None
    for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"):
        path = tmp_path / f"copy{suffix}"
        write_records(path, read_records(source, Event))
        sampling_weights(path, ODD_SETTINGS[0], tmp_path / "w.json")
        got = (tmp_path / "w.json").read_bytes()
        wanted = wanted or got
        assert got == wanted


def test_weight_of_nothing_is_the_highest_weight() -> None:
    assert weight_of(0, {}, WeightSettings(max_weight=0.4)) == 0.4
    assert weight_of(0, {}, WeightSettings(exponent=0.0)) == 1.0
    assert weight_of(0, {}, WeightSettings(exponent=-1.0, min_weight=0.1)) == 0.1
    with pytest.raises(UsageError, match="a group of 0 events has an infinite weight; give a max_weight"):
        weight_of(0, {}, WeightSettings())


def test_packaged_profiles_are_the_published_ones(shared: Path) -> None:
    published = shared / "data/peer-examples/configs/sampling_profiles.json"
    assert json.loads(PACKAGED_PROFILES.read_text()) == json.loads(published.read_text())
    assert list(load_profiles()) == ["slakh", "groove", "enst", "prod_combined"]
    assert load_profiles()["groove"].dedupe_fields == ["session_id", "onset_time"]
    for profile in load_profiles().values():
        check_settings(profile)


def test_boost_notes() -> None:
    how = WeightSettings(technique_boosts={"hihat_bark": 0.75, "flam": 1.0, "drag": 2.0})
    assert boost_notes(how, {"hihat_bark": 1, "flam": 1}) == [
        "hihat_bark: a boost of 0.75 lowers the weight",
        "drag: no counted event has it, so its boost does nothing",
    ]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (WeightSettings(min_weight=0.5, max_weight=0.1), r"min_weight 0.5 is greater than max_weight 0.1"),
        (
            WeightSettings(min_count=5, max_events_per_group=4),
            r"min_count 5 can never be reached: .* stops at 4",
        ),
        (WeightSettings(exponent=math.inf), r"every number must be finite"),
        (
            WeightSettings(group_field="tempo_bpm"),
            r"group_field 'tempo_bpm' is none of sample_id, session_id",
        ),
        (WeightSettings(dedupe_fields=["loudness"]), r"dedupe field 'loudness' is no single value"),
        (WeightSettings(technique_boosts={"flam": -1.0}), r"Expected `float` > 0"),
    ],
)
def test_settings_that_make_no_sense(how: WeightSettings, message: str, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "e.jsonl", [event("a", 1)])
    with pytest.raises(UsageError, match=message):
        sampling_weights(source, how)


@pytest.mark.parametrize(
    ("rows", "how", "message"),
    [
        ([], WeightSettings(), r"e\.jsonl: holds no events$"),
        ([event("a", -1)], WeightSettings(), r"e\.jsonl:1: onset_time: "),
        (
            [event("a", 1)],
            WeightSettings(group_field="kit_id"),
            r"no event has the group field 'kit_id'; take another",
        ),
        ([event("a", 1)], WeightSettings(dedupe_fields=["onset"]), r"no event has the dedupe field 'onset'$"),
        (
            [event("a", 1)],
            WeightSettings(min_count=2),
            r"no group has 2 events that count, so none gets a weight$",
        ),
    ],
)
def test_manifests_that_give_no_weights(
    rows: list[dict[str, Any]], how: WeightSettings, message: str, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    output = tmp_path / "w.json"
    output.write_text("old")
    with pytest.raises(InputError, match=message):
        sampling_weights(source, how, output)
    assert output.read_text() == "old"


def test_a_gzip_cut_short_keeps_the_old_weights(tmp_path: Path) -> None:
    source, output = tmp_path / "e.jsonl.gz", tmp_path / "w.json"
    lines = "".join(json.dumps(event("a", index)) + "\n" for index in range(2000))
    source.write_bytes(gzip.compress(lines.encode())[:-500])
    output.write_text("old")
    with pytest.raises(InputError, match=r"e\.jsonl\.gz: the compressed file is damaged after line \d+"):
        sampling_weights(source, WeightSettings(), output)
    assert output.read_text() == "old"


def test_the_manifest_is_never_replaced_by_its_weights(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "e.jsonl", [event("a", 1)])
    before = source.read_bytes()
    link = tmp_path / "link.json"
    link.symlink_to(source)
    for output in (source, link):
        with pytest.raises(UsageError, match="is the manifest itself, which the report would replace"):
            sampling_weights(source, WeightSettings(), output)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"p": {"smoothin": 1}}', r"is not a file of sampling profiles: .*smoothin"),
        ('{"p": {"smoothing": -1}}', r"is not a file of sampling profiles: .*>= 0"),
        ("[", r"is not a file of sampling profiles"),
    ],
)
def test_faulty_profiles(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "profiles.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_profiles(path)


def run(*arguments: str | Path) -> Any:
    app = typer.Typer()
    app.command()(weights)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_command(tmp_path: Path) -> None:
    rows = [event("a", index, techniques=["hihat_bark"], audio_path="a.wav") for index in range(9)]
    rows += [event("b", index, audio_path="b.wav") for index in range(4)] + [event("c", 0)]
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    output = tmp_path / "w.json"
    result = run(
        source, "-o", output, "--profile", "slakh", "--max-weight", "0.45", "--technique-boost", "flam=2"
    )
    assert result.exit_code == 0, result.output
    assert "2 groups by audio_path, weights 0.25 to 0.45; 1 at the highest allowed, 0.45." in result.stdout
    assert "hihat_bark: a boost of 0.75 lowers the weight" in result.stderr
    assert "flam: no counted event has it" in result.stderr
    assert "1 event without audio_path did not count" in result.stderr
    written = json.loads(output.read_text())
    assert written["weights"]["a.wav"]["weight"] == pytest.approx(0.75 * 9**-0.5)
    assert written["parameters"]["technique_boosts"] == {"hihat_bark": 0.75, "flam": 2.0}

    answer = run(
        source, "--json", "--min-count", "2", "--max-events-per-group", "0", "--no-include-unmatched"
    )
    report = json.loads(answer.stdout)
    assert list(report["weights"]) == ["a", "b"]
    assert report["summary"]["dropped_groups"] == {"c": 1}
    assert report["parameters"]["include_unmatched"] is False
    assert "1 group under 2 events, without a weight: c (1)" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "nope"], "unknown profile 'nope'; known profiles: slakh, groove, enst, prod_combined"),
        (["--profiles", "x.json"], "--profiles x.json: say which one with --profile NAME"),
        (["--technique-boost", "flam"], "--technique-boost 'flam' is not NAME=FACTOR"),
    ],
)
def test_command_wrongly_used(arguments: list[str], message: str, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "e.jsonl", [event("a", 1)])
    result = run(source, *arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
