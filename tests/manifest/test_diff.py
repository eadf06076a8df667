"""The difference of two manifests: planted changes, a plain-Python diff of odd rows, limits, errors."""

from __future__ import annotations

import gzip
import json
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

from beatsight.cli.manifest.diff import diff
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, read_records, write_records
from beatsight.manifest.diff import LIMITS, diff_manifests
from beatsight.manifest.stats import ABSENT


def event(session: str, *labels: str, **more: Any) -> dict[str, Any]:
    parts = [{"label": label} for label in labels or ("kick",)]
    return {"sample_id": "x", "session_id": session, "onset_time": 0, "components": parts} | more


def as_parquet(source: Path) -> Path:
    target = source.with_suffix(".parquet")
    write_records(target, read_records(source, Event))
    return target


# The diff once more, in plain Python.


def delta(base: int, candidate: int) -> dict[str, Any]:
    percent = 100.0 * (candidate - base) / base if base else None
    return {"base": base, "candidate": candidate, "delta": candidate - base, "percent": percent}


def deltas(base: Counter[str], candidate: Counter[str], only_changed: bool = False) -> dict[str, Any]:
    names = sorted(base | candidate)
    return {name: delta(base[name], candidate[name]) for name in names
            if not only_changed or base[name] != candidate[name]}  # fmt: skip


def labels_of(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(part["label"] for row in rows for part in row["components"])


def techniques_of(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(name for row in rows for name in set(row.get("techniques") or []))


def by(rows: list[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(ABSENT if row.get(key) is None else row[key], []).append(row)
    return groups


def expected(base: list[dict[str, Any]], candidate: list[dict[str, Any]]) -> dict[str, Any]:
    old, new = by(base, "session_id"), by(candidate, "session_id")
    changed = {}
    for name in sorted(old.keys() & new.keys()):
        labels = deltas(labels_of(old[name]), labels_of(new[name]), only_changed=True)
        techniques = deltas(techniques_of(old[name]), techniques_of(new[name]), only_changed=True)
        if labels or techniques or len(old[name]) != len(new[name]):
            events = delta(len(old[name]), len(new[name]))
            changed[name] = {"events": events, "labels": labels, "techniques": techniques}
    before, after = by(base, "source_set"), by(candidate, "source_set")
    return {
        "events": delta(len(base), len(candidate)),
        "hits": delta(labels_of(base).total(), labels_of(candidate).total()),
        "sessions": {
            "count": delta(len(old), len(new)),
            "added": {name: len(new[name]) for name in sorted(new.keys() - old.keys())},
            "removed": {name: len(old[name]) for name in sorted(old.keys() - new.keys())},
            "changed": changed,
        },
        "labels": deltas(labels_of(base), labels_of(candidate)),
        "techniques": deltas(techniques_of(base), techniques_of(candidate)),
        "sources": {
            name: {
                "events": delta(len(before.get(name, [])), len(after.get(name, []))),
                "hits": delta(
                    labels_of(before.get(name, [])).total(), labels_of(after.get(name, [])).total()
                ),
            }
            for name in sorted(before.keys() | after.keys())
        },
        "limits": [],
        "passed": True,
    }


def check(base: Path, candidate: Path, want: dict[str, Any]) -> None:
    got = msgspec.to_builtins(diff_manifests(base, candidate))
    assert (got.pop("base"), got.pop("candidate")) == (str(base), str(candidate))
    # As text, so that the order counts.
    assert json.dumps(got) == json.dumps(want)


def test_equals_a_plain_diff_of_20_000_odd_rows(tmp_path: Path) -> None:
    base, other = odd_events(20_000, seed=7), odd_events(300, seed=8)
    candidate = [dict(row) for index, row in enumerate(base) if index % 997 and row["session_id"][-1] != "7"]
    for row in candidate[::500]:
        row["techniques"] = [*(row.get("techniques") or []), "swing"]
        row["components"] = [*row["components"], {"label": "clap"}]
    candidate += [row | {"session_id": f"new {row['session_id']}"} for row in other]
    one, two = write_jsonl(tmp_path / "one.jsonl", base), write_jsonl(tmp_path / "two.jsonl", candidate)
    want = expected(base, candidate)
    assert all(want["sessions"][name] for name in ("added", "removed", "changed"))
    check(one, two, want)
    check(as_parquet(one), as_parquet(two), want)


@settings(max_examples=20)
@given(
    base=st.lists(event_dicts, min_size=1, max_size=6),
    candidate=st.lists(event_dicts, min_size=1, max_size=6),
)
def test_equals_a_plain_diff_of_any_rows(
    base: list[dict[str, Any]], candidate: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    one, two = write_jsonl(folder / "base.jsonl", base), write_jsonl(folder / "candidate.jsonl", candidate)
    check(one, two, expected(base, candidate))
    check(as_parquet(one), as_parquet(two), expected(base, candidate))


def planted(tmp_path: Path) -> tuple[Path, Path]:
    """Three sessions of ten kicks and a snare; the first loses a flam, the second goes, a fourth comes."""
    base = [event(name, *["kick"] * 10, "snare", source_set="own", techniques=["flam"]) for name in "abc"]
    candidate = [event("a", *["kick"] * 10, "snare", source_set="own", techniques=["drag"]), base[2]]
    candidate += [event("d", "clap", "clap")]
    return write_jsonl(tmp_path / "base.jsonl", base), write_jsonl(tmp_path / "candidate.jsonl", candidate)


def test_planted_changes(tmp_path: Path) -> None:
    base, candidate = planted(tmp_path)
    found = diff_manifests(base, candidate, tmp_path / "diff.json")
    assert (found.sessions.added, found.sessions.removed) == ({"d": 1}, {"b": 1})
    assert list(found.sessions.changed) == ["a"]
    assert found.sessions.changed["a"].labels == {}
    assert {name: one.delta for name, one in found.sessions.changed["a"].techniques.items()} == {
        "drag": 1,
        "flam": -1,
    }
    assert found.sessions.changed["a"].size == 2
    assert (found.labels["kick"].delta, found.labels["kick"].percent) == (-10, pytest.approx(-100 / 3))
    assert (found.labels["clap"].delta, found.labels["clap"].percent) == (2, None)
    assert found.sources["own"].events.delta == -1
    assert found.sources[ABSENT].hits.candidate == 2
    assert json.loads((tmp_path / "diff.json").read_text()) == msgspec.to_builtins(found)


def test_a_manifest_does_not_differ_from_itself(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "e.jsonl", odd_events(500, seed=9))
    packed = tmp_path / "e.jsonl.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    found = diff_manifests(source, packed, limits=dict.fromkeys(LIMITS, 0.0))
    assert found.passed
    assert [limit.value for limit in found.limits] == [0.0] * len(LIMITS)
    assert not (found.sessions.added or found.sessions.removed or found.sessions.changed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("events-drop", 0.0),
        ("hits-drop", 100 * 9 / 33),
        ("sessions-added", 1),
        ("sessions-removed", 1),
        ("sessions-changed", 1),
        ("label-drop", 100 / 3),
        ("label-gone", 0),
        ("technique-drop", 100 * 2 / 3),
        ("technique-gone", 0),
        ("source-drop", 100 / 3),
    ],
)
def test_limits(name: str, value: float, tmp_path: Path) -> None:
    base, candidate = planted(tmp_path)
    found = diff_manifests(base, candidate, limits={name: value + 1e-9})
    assert found.limits[0].value == pytest.approx(value)
    assert found.passed
    if value:
        found = diff_manifests(base, candidate, limits={name: value - 1e-9})
        assert (found.limits[0].exceeded, found.passed) == (True, False)


def test_what_is_gone_is_counted(tmp_path: Path) -> None:
    base = write_jsonl(
        tmp_path / "b.jsonl", [event("a", "kick", "snare", "clap", techniques=["flam", "drag"])] * 4
    )
    candidate = write_jsonl(tmp_path / "c.jsonl", [event("a", "kick", techniques=["flam"])] * 3)
    names = ("label-gone", "technique-gone", "label-drop", "technique-drop", "events-drop", "source-drop")
    found = diff_manifests(base, candidate, limits=dict.fromkeys(names, 0.0))
    assert [limit.value for limit in found.limits] == [2, 1, 100, 100, 25, 25]


def test_every_limit_is_tested() -> None:
    (marker,) = (mark for mark in test_limits.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    assert [name for name, _ in marker.args[1]] == list(LIMITS)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"labels": 1.0}, r"unknown limit 'labels'; known limits: events-drop, hits-drop, sessions-added"),
        ({"events-drop": -1.0}, r"limit events-drop: -1 is not a number of 0 or more"),
        ({"events-drop": float("nan")}, r"limit events-drop: nan is not a number of 0 or more"),
    ],
)
def test_limits_that_make_no_sense(limits: dict[str, float], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        diff_manifests(*planted(tmp_path), limits=limits)


def test_errors_keep_the_old_diff(tmp_path: Path) -> None:
    base, candidate = planted(tmp_path)
    output = tmp_path / "diff.json"
    output.write_text("old")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(base.read_bytes() * 100)[:-20])
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz: the compressed file is damaged after line \d+"):
        diff_manifests(base, cut, output)
    empty = write_jsonl(tmp_path / "empty.jsonl", [])
    for pair in ((empty, base), (base, empty)):
        with pytest.raises(InputError, match=r"empty\.jsonl: holds no events$"):
            diff_manifests(*pair, output)
    faulty = write_jsonl(tmp_path / "faulty.jsonl", [event("a"), event("")])
    with pytest.raises(InputError, match=r"faulty\.jsonl:2: session_id: "):
        diff_manifests(base, faulty, output)
    assert output.read_text() == "old"
    before = candidate.read_bytes()
    with pytest.raises(UsageError, match=r"candidate\.jsonl: is the manifest itself"):
        diff_manifests(base, candidate, candidate)
    assert candidate.read_bytes() == before


def run(*arguments: str | Path) -> Any:
    app = typer.Typer()
    app.command()(diff)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_command(tmp_path: Path) -> None:
    base, candidate = planted(tmp_path)
    output = tmp_path / "diff.json"
    result = run(base, candidate, "--json-output", output, "--fail-on", "label-drop=40")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["kick", "30", "20", "-10", "-33.33"] in rows
    assert ["clap", "0", "2", "+2", "new"] in rows
    assert "Sessions removed: 1, by events: 'b' 1." in result.stdout
    assert json.loads(output.read_text())["sessions"]["added"] == {"d": 1}

    result = run(base, candidate, "--json", "--fail-on", "label-drop=30", "--fail-on", "sessions-removed=0")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False
    assert result.stderr.splitlines() == [
        "label-drop: 33.3333 is more than 30 (largest fall of any label, %)",
        "sessions-removed: 1 is more than 0 (sessions removed)",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail-on", "label-drop"], "--fail-on 'label-drop' is not NAME=NUMBER; known limits: events-drop"),
        (["--fail-on", "labels=3"], "unknown limit 'labels'; known limits: events-drop"),
        (["--fail-on", "label-drop=3", "--fail-on", "label-drop=4"], "--fail-on label-drop is given twice"),
    ],
)
def test_command_wrongly_used(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(*planted(tmp_path), *arguments)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
