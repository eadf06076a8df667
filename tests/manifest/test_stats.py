"""Statistics of a manifest: planted counts, a plain-Python count of odd rows, errors, the command."""

from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from beatsight.cli.manifest.stats import stats
from beatsight.errors import InputError
from beatsight.events import Event, dynamic_bucket, read_records, write_records
from beatsight.manifest.stats import ABSENT, BUCKETS, LISTED, manifest_stats
from beatsight.taxonomy import is_known, resolve


def event(sample: str, parts: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    components = [{"label": "kick"}] if parts is None else parts
    return {"sample_id": sample, "session_id": "s", "onset_time": 1.5, "components": components} | more


def expected(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same counts by plain loops over the rows."""

    def values(name: str) -> Counter[str]:
        return Counter(ABSENT if row.get(name) is None else row[name] for row in rows)

    labels: dict[str, dict[str, int]] = {}
    dynamics: Counter[str] = Counter()
    openness: list[float] = []
    last: dict[str, float] = {}
    for row in rows:
        kind = "synthetic" if row.get("is_synthetic") else "real"
        for part in row["components"]:
            labels.setdefault(part["label"], {"real": 0, "synthetic": 0})[kind] += 1
            velocity = part.get("velocity")
            bucket = part.get("dynamic_bucket") or ABSENT
            dynamics[bucket if velocity is None else dynamic_bucket(velocity)] += 1
            if part.get("openness") is not None:
                openness.append(part["openness"])
        audio = row.get("audio_path")
        if audio is not None:
            last[audio] = max(last.get(audio, 0.0), row["onset_time"])
    ids = {name: number for name, number in Counter(row["sample_id"] for row in rows).items() if number > 1}
    tempi = [row["tempo_bpm"] for row in rows if row.get("tempo_bpm") is not None]
    hits = sum(len(row["components"]) for row in rows)
    surplus = sum(ids.values()) - len(ids)

    def named(key: str) -> int:
        return len({row[key] for row in rows if row.get(key) is not None})

    return {
        "events": len(rows),
        "hits": hits,
        "synthetic_events": sum(row.get("is_synthetic") is True for row in rows),
        "negative_examples": sum(row.get("negative_example") is True for row in rows),
        "sessions": named("session_id"),
        "tracks": named("track_id"),
        "drummers": named("drummer_id"),
        "kits": named("kit_id"),
        "rooms": named("room_id"),
        "sources": values("source_set"),
        "techniques": Counter(name for row in rows for name in set(row.get("techniques") or [])),
        "meters": values("meter"),
        "tempo_bpm": [min(tempi), max(tempi)] if tempi else None,
        "bleed": values("bleed_level"),
        "mix_contexts": values("mix_context"),
        "by_hit": {
            "labels": labels,
            "aliases": {name: resolve(name) for name in labels if is_known(name) and resolve(name) != name},
            "unknown_labels": {name: sum(n.values()) for name, n in labels.items() if not is_known(name)},
            "dynamics": {name: dynamics[name] for name in (*BUCKETS, ABSENT)},
            "openness": np.histogram(openness, bins=[k / 10 for k in range(11)])[0].tolist(),
            "without_openness": hits - len(openness),
        },
        "duplicates": {
            "ids": len(ids),
            "events": surplus,
            "rate": surplus / len(rows),
            "listed": dict(sorted(ids.items(), key=lambda item: (-item[1], item[0]))[:LISTED]),
        },
        "coverage": {
            "seconds": pytest.approx(math.fsum(last.values()), rel=1e-12),
            "audio_files": len(last),
            "events_without_audio": sum(row.get("audio_path") is None for row in rows),
        },
    }


def check(path: Path, rows: list[dict[str, Any]]) -> None:
    got = msgspec.to_builtins(manifest_stats([path]))
    assert got.pop("files") == {str(path): len(rows)}
    assert json.loads(json.dumps(got)) == expected(rows)


def as_parquet(source: Path) -> Path:
    target = source.with_suffix(".parquet")
    write_records(target, read_records(source, Event))
    return target


def test_equals_a_plain_count_of_20_000_odd_rows(tmp_path: Path) -> None:
    rows = odd_events(20_000, seed=5)
    source = write_jsonl(tmp_path / "odd.jsonl", rows)
    check(source, rows)
    check(as_parquet(source), rows)


@settings(max_examples=20)
@given(rows=st.lists(event_dicts, min_size=1, max_size=6))
def test_equals_a_plain_count_of_any_rows(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = write_jsonl(tmp_path_factory.getbasetemp() / "any-stats.jsonl", rows)
    check(source, rows)
    check(as_parquet(source), rows)


def test_dynamics_have_the_edges_of_the_format(tmp_path: Path) -> None:
    edges = [0.15, 0.35, 0.65]
    velocities = [0.0, 1.0, *edges, *(math.nextafter(edge, 0) for edge in edges)]
    parts = [{"label": "kick", "velocity": velocity} for velocity in velocities]
    parts += [{"label": "kick", "velocity": 0.9, "dynamic_bucket": "ghost"}]
    parts += [{"label": "kick", "dynamic_bucket": "light"}, {"label": "kick"}]
    source = write_jsonl(tmp_path / "e.jsonl", [event("a", parts)])
    counts = Counter(dynamic_bucket(velocity) for velocity in velocities)
    assert manifest_stats([source]).by_hit.dynamics == {
        "ghost": counts["ghost"],
        "light": counts["light"] + 1,
        "medium": counts["medium"],
        "accent": counts["accent"] + 1,
        ABSENT: 1,
    }


def test_openness_bins_are_exact_at_their_edges(tmp_path: Path) -> None:
    edges = [index / 10 for index in range(11)]
    below = [math.nextafter(edge, 0) for edge in edges[1:]]
    parts = [{"label": "hihat_open", "openness": value} for value in (*edges, *below)]
    source = write_jsonl(tmp_path / "e.jsonl", [event("a", parts)])
    assert manifest_stats([source]).by_hit.openness == [2] * 9 + [3]


def test_several_files_are_counted_together(tmp_path: Path) -> None:
    one = write_jsonl(tmp_path / "one.jsonl", [event("a", audio_path="x.wav"), event("b", onset_time=4)])
    two = as_parquet(write_jsonl(tmp_path / "two.jsonl", [event("a", audio_path="x.wav", onset_time=7)]))
    found = manifest_stats([one, two])
    assert found.files == {str(one): 2, str(two): 1}
    assert (found.events, found.sessions, found.duplicates.listed) == (3, 1, {"a": 2})
    assert found.duplicates.rate == pytest.approx(1 / 3)
    assert (found.coverage.seconds, found.coverage.events_without_audio) == (7.0, 1)


def test_hits_are_summed_over_real_and_synthetic(tmp_path: Path) -> None:
    rows = [event("a"), event("b", is_synthetic=True), event("c", is_synthetic=False)]
    count = manifest_stats([write_jsonl(tmp_path / "e.jsonl", rows)]).by_hit.labels["kick"]
    assert (count.real, count.synthetic, count.hits) == (2, 1, 3)


def test_a_manifest_without_events_is_refused(tmp_path: Path) -> None:
    full, empty = (
        write_jsonl(tmp_path / "full.jsonl", [event("a")]),
        write_jsonl(tmp_path / "empty.jsonl", []),
    )
    write_records(tmp_path / "empty.parquet", [])
    for path in (empty, tmp_path / "empty.parquet"):
        with pytest.raises(InputError, match=rf"{path}: holds no events$"):
            manifest_stats([full, path])


def test_faults_are_named(tmp_path: Path) -> None:
    rows = [event("a"), event("b", [{"label": "kick", "velocity": 2}])]
    source = write_jsonl(tmp_path / "e.jsonl", rows)
    with pytest.raises(InputError, match=r"e\.jsonl:2: components\[0\]\.velocity: "):
        manifest_stats([source])
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(rows[0]).encode() * 1000)[:-20])
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz: the compressed file is damaged"):
        manifest_stats([cut])
    with pytest.raises(InputError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        manifest_stats([tmp_path / "nowhere.jsonl"])


def run(*arguments: str | Path) -> Any:
    app = typer.Typer()
    app.command()(stats)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_command(shared: Path, tmp_path: Path) -> None:
    example = shared / "data/peer-examples/examples/events_health_example.jsonl"
    result = run(example)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["events", "5"] in rows
    assert ["crash", "3", "0"] in rows
    assert ["hihat_bark", "1"] in rows
    assert json.loads(run(example, "--json").stdout)["by_hit"]["labels"]["crash"] == {
        "real": 3,
        "synthetic": 0,
    }


def test_command_prints_odd_names_safely(tmp_path: Path) -> None:
    labels = ["BD", "[red]bang\x1b[2J"]
    source = write_jsonl(tmp_path / "e.jsonl", [event("a", [{"label": label} for label in labels])])
    text = run(source).stdout
    assert "= kick" in text
    assert "[red]bang?[2J" in text and "\x1b" not in text
    assert "unknown label" in text
