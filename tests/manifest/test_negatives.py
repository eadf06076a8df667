"""Hard negatives: planted false positives, and the specification in plain loops beside the program's SQL."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from event_strategies import ALIAS_LABELS, LABELS, UNKNOWN_LABELS, event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from beatsight.cli.manifest import app
from beatsight.errors import InputError, UsageError
from beatsight.events import Prediction, decode, read_events, write_records
from beatsight.manifest.convert import convert
from beatsight.manifest.negatives import LabelCount, NegativesReport, hard_negatives
from beatsight.taxonomy import is_known, resolve


def event(sample: str, onset: float, *labels: str, session: str = "s") -> dict[str, Any]:
    components = [{"label": label} for label in labels]
    row = {"sample_id": sample, "session_id": session, "onset_time": onset, "components": components}
    return row if labels else row | {"negative_example": True}


def heard(sample: str, onset: float | None, session: str | None = "s", **scores: float) -> dict[str, Any]:
    row = {"sample_id": sample, "session_id": session, "onset_time": onset, "scores": scores}
    return {key: value for key, value in row.items() if value is not None}


def mine(
    tmp_path: Path, predictions: list[dict[str, Any]], truth: list[dict[str, Any]], **settings_: Any
) -> tuple[list[dict[str, Any]], NegativesReport]:
    out = tmp_path / "negatives.jsonl"
    report = hard_negatives(
        write_jsonl(tmp_path / "predictions.jsonl", predictions),
        write_jsonl(tmp_path / "truth.jsonl", truth),
        out,
        **settings_,
    )
    return [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]], report


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["sample_id"] for row in rows]


def canonical(label: str) -> str:
    return resolve(label) if is_known(label) else label


def specified(
    predictions: list[dict[str, Any]],
    truth: list[dict[str, Any]],
    confidence: float,
    cap: int,
    window_ms: float,
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """The specification, read once more: loops over dictionaries, no index but by id and by session."""
    by_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
    by_session: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in truth:
        by_id[row["sample_id"]].append(row)
        if row.get("session_id") is not None and row.get("onset_time") is not None:
            by_session[row["session_id"]].append(row)
    window = window_ms / 1000 + 1e-9
    false: dict[str, list[Any]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for number, row in enumerate(predictions):
        scores: dict[str, float] = {}
        for label, score in row["scores"].items():
            scores[canonical(label)] = max(score, scores.get(canonical(label), 0))
        predicted = {canonical(label) for label in row.get("predicted_labels") or ()}
        counts["without_score"] += len(predicted - scores.keys())
        confident = {label: score for label, score in scores.items() if score >= confidence}
        counts["candidates"] += len(confident)
        session, onset = row.get("session_id"), row.get("onset_time")
        same = by_id[row["sample_id"]]
        timed = session in by_session and onset is not None
        if same and not timed:
            session = session if session is not None else _first(same, "session_id")
            onset = onset if onset is not None else _first(same, "onset_time")
        elif not timed:
            counts["unjudged"] += bool(confident)
            continue
        near = [
            one
            for one in by_session.get(session, ())
            if onset is not None and abs(one["onset_time"] - onset) <= window
        ]
        there = {canonical(part["label"]) for one in (*same, *near) for part in one["components"]}
        for label in confident.keys() - there:
            counts["false_positives"] += 1
            if session is None or onset is None:
                counts["unplaced"] += 1
                continue
            key = (-confident[label], session.encode(), onset, row["sample_id"].encode(), number)
            false[label].append((key, sorted(there, key=str.encode), row.get("audio_path")))
    rows, used = [], Counter[tuple[str, str]]()
    for label in sorted(false, key=str.encode):
        for rank, (key, there_sorted, audio) in enumerate(sorted(false[label])[:cap], start=1):
            score, session, onset, sample, _ = key
            used[sample, label] += 1
            nth = used[sample, label]
            rows.append(
                {
                    "sample_id": f"{sample.decode()}:neg{nth if nth > 1 else ''}:{label}",
                    "session_id": session.decode(), "audio_path": audio, "onset_time": onset, "label": label,
                    "score": -score, "rank": rank, "truth_labels": there_sorted,
                    "clip_start": max(0.0, round(onset - 0.08, 6)), "clip_end": round(onset + 0.22, 6),
                    "negative_example": True, "components": [],
                }
            )  # fmt: skip
    return rows, counts


def _first(rows: list[dict[str, Any]], key: str) -> Any:
    return next((row[key] for row in rows if row.get(key) is not None), None)


def odd_predictions(events: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """What a poor model might say of some events: ids right or wrong, times off, places missing."""
    r = random.Random(seed)
    rows = []
    for one in events:
        row: dict[str, Any] = {
            "sample_id": one["sample_id"] if r.random() < 0.5 else f"new {r.randrange(len(events))}",
            "scores": {},
        }
        for label in [part["label"] for part in one["components"]] + r.choices(
            (*LABELS, *ALIAS_LABELS, *UNKNOWN_LABELS), k=r.randrange(3)
        ):
            row["scores"][label] = r.choice((0, 1, 0.7, 0.69, 0.9, r.random()))
        if r.random() < 0.9:
            row["session_id"] = one["session_id"] if r.random() < 0.95 else r.choice(("elsewhere", None))
        if r.random() < 0.9:
            row["onset_time"] = max(0, one["onset_time"] + r.choice((0, 0.05, -0.05, 0.0501, r.random())))
        if r.random() < 0.5:
            row["predicted_labels"] = r.sample(LABELS, 2)
        if r.random() < 0.8:
            row["audio_path"] = one.get("audio_path")
        rows.append(row)
    r.shuffle(rows)
    return rows


def without_audio(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def test_planted_false_positives(tmp_path: Path) -> None:
    truth = [event("a", 1.0, "kick"), event("b", 2.0, "Snare Center", "crash")]
    predictions = [
        heard("a", 1.0, kick=0.99, snare=0.8, china=0.69),  # the snare is false; the china is not confident
        heard("b", 2.0, snare=0.9, crash_1=0.9),  # the same drums by other names
        heard("x", 1.05, BD=0.95),  # another id, but the kick of event a lies 50 ms away
        heard("y", 1.0501, BD=0.95, kick=0.75),  # 0.1 ms too far
        heard("z", 9.0, snare=0.85, vibraslap=1.0),
    ]
    rows, report = mine(tmp_path, predictions, truth)
    assert names(rows) == ["y:neg:kick", "z:neg:snare", "a:neg:snare", "z:neg:vibraslap"]
    assert rows[2] == {
        "sample_id": "a:neg:snare", "session_id": "s", "onset_time": 1.0, "label": "snare", "score": 0.8,
        "rank": 2, "clip_start": 0.92, "clip_end": 1.22, "truth_labels": ["kick"], "negative_example": True,
        "components": [],
    }  # fmt: skip
    assert (rows[0]["score"], rows[0]["truth_labels"]) == (0.95, [])
    assert report == NegativesReport(
        predictions=5,
        events=2,
        candidates=8,
        false_positives=4,
        written=4,
        labels={
            "kick": LabelCount(1, 1, 0.95, 0.95),
            "snare": LabelCount(2, 2, 0.85, 0.8),
            "vibraslap": LabelCount(1, 1, 1.0, 1.0),
        },
    )


def test_hardest_first_not_first_come_and_capped(tmp_path: Path) -> None:
    predictions = [heard(f"p{k}", 5 + k, kick=(70 + k) / 100, snare=0.9) for k in range(20)]
    rows, report = mine(tmp_path, predictions, [event("a", 0, "kick")], max_per_label=3)
    # Equal scores stand in the order of time.
    assert names(rows) == [f"p{k}:neg:kick" for k in (19, 18, 17)] + [f"p{k}:neg:snare" for k in range(3)]
    assert [row["rank"] for row in rows] == [1, 2, 3, 1, 2, 3]
    assert report.labels["kick"] == LabelCount(20, 3, 0.89, 0.87)


def test_what_cannot_be_judged_or_placed_is_counted(tmp_path: Path) -> None:
    truth: list[dict[str, Any]] = [
        {"sample_id": "short", "components": [{"label": "kick"}], "session_id": None},
        event("placed", 3.0, "kick"),
    ]
    predictions = [
        heard("short", 1.0, "else", snare=0.9),  # judged by its id
        heard("short", None, None, snare=0.9),  # judged, but nobody says where it is
        heard("placed", None, None, snare=0.8),  # the event says where it is
        heard("nobody", 1.0, "else", snare=0.9),
        heard("nobody", 1.0, "else", snare=0.1),  # nothing confident to judge
        heard("nobody", 1.0, None, snare=0.9),
        heard("nobody", None, "s", snare=0.9),
        heard("far", 8.0, "s", snare=0.75) | {"predicted_labels": ["Snare Drum", "BD", "kick"]},
    ]
    rows, report = mine(tmp_path, predictions, truth)
    assert names(rows) == ["short:neg:snare", "placed:neg:snare", "far:neg:snare"]
    assert (rows[1]["session_id"], rows[1]["onset_time"]) == ("s", 3.0)
    assert (report.unjudged, report.unjudged_sessions) == (3, {"": 1, "else": 1, "s": 1})
    assert (report.unplaced, report.without_score, report.false_positives) == (1, 1, 4)


def test_window_and_clip_settings(tmp_path: Path) -> None:
    truth, predictions = [event("a", 0.1, "kick")], [heard("x", 0.15, kick=0.9)]
    rows, _ = mine(tmp_path, predictions, truth, window_ms=49, clip_before_ms=500, clip_after_ms=0)
    assert (rows[0]["clip_start"], rows[0]["clip_end"]) == (0.0, 0.15)
    assert mine(tmp_path, predictions, truth, window_ms=50)[0] == []
    assert len(mine(tmp_path, [heard("x", 0.1, kick=0.9)], truth, window_ms=0)[0]) == 0
    # A window far longer than the stretches in which hits are looked up.
    far = [heard("x", 60.1, kick=0.9)]
    assert len(mine(tmp_path, far, truth, window_ms=59_999)[0]) == 1
    assert len(mine(tmp_path, far, truth, window_ms=60_000)[0]) == 0


def test_one_id_twice_gives_two_ids_and_the_output_is_a_manifest(tmp_path: Path) -> None:
    predictions = [heard("p", 5.0, snare=0.9), heard("p", 6.0, snare=0.8), heard("p", 7.0, snare=0.7)]
    rows, _ = mine(tmp_path, predictions, [event("a", 1.0, "kick")])
    assert names(rows) == ["p:neg:snare", "p:neg2:snare", "p:neg3:snare"]
    for name in ("negatives.parquet", "negatives.jsonl.gz"):
        hard_negatives(tmp_path / "predictions.jsonl", tmp_path / "truth.jsonl", tmp_path / name)
        events = read_events(tmp_path / name)
        assert events == read_events(tmp_path / "negatives.jsonl")
        assert [one.extra["rank"] for one in events] == [1, 2, 3]
        assert all(one.negative_example and not one.components for one in events)


def test_equals_the_specification_on_odd_rows_from_every_format(tmp_path: Path) -> None:
    truth = odd_events(20_000, seed=3)
    predictions = odd_predictions(odd_events(20_000, seed=3)[:15_000] + odd_events(200, seed=8), seed=4)
    rows, report = mine(tmp_path, predictions, truth, max_per_label=100)
    expected, counts = specified(predictions, truth, 0.7, 100, 50)
    assert rows == without_audio(expected)
    assert len(rows) > 1_000
    assert report.candidates == counts["candidates"]
    assert report.false_positives == counts["false_positives"] > report.written == len(rows)
    assert (report.unjudged, report.without_score) == (counts["unjudged"], counts["without_score"])
    assert report.unjudged > 100
    assert report.without_score > 100
    assert report.unplaced == counts["unplaced"] == 0
    source = tmp_path / "predictions.parquet"
    write_records(source, [decode(json.dumps(row), Prediction, "row") for row in predictions])
    convert(tmp_path / "truth.jsonl", tmp_path / "truth.parquet")
    convert(tmp_path / "truth.jsonl", tmp_path / "truth.jsonl.zst")
    for name in ("truth.parquet", "truth.jsonl.zst"):
        out = tmp_path / "other.jsonl"
        assert hard_negatives(source, tmp_path / name, out, max_per_label=100) == report
        assert out.read_bytes() == (tmp_path / "negatives.jsonl").read_bytes()


def _shortened(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("sample_id", "components", "negative_example") if key in row}


prediction_dicts = st.fixed_dictionaries(
    {
        "sample_id": st.sampled_from(("a", "b", "c", "ü", "new")),
        "scores": st.dictionaries(
            st.sampled_from(("kick", "BD", "snare", "クス", *UNKNOWN_LABELS)),
            st.sampled_from((0, 0.5, 0.7, 1, 0.699)) | st.floats(0, 1),
            max_size=3,
        ),
    },
    optional={
        "session_id": st.sampled_from(("s1", "s2", "🥁", "else", None)),
        "onset_time": st.sampled_from((0, 0.01, 0.02, 0.05, 0.06, 0.5, 1, 10.05, None)),
        "audio_path": st.sampled_from(("x.wav", None)),
        "predicted_labels": st.none() | st.lists(st.sampled_from(("kick", "BD", "snare")), max_size=3),
    },
)


@settings(max_examples=40)
@given(
    truth=st.lists(event_dicts | event_dicts.map(_shortened), min_size=1, max_size=5),
    predictions=st.lists(prediction_dicts, min_size=1, max_size=6),
    cap=st.sampled_from((1, 2, 100)),
)
def test_equals_the_specification_on_few_rows(
    truth: list[Any], predictions: list[Any], cap: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows, report = mine(tmp_path_factory.mktemp("mine"), predictions, truth, max_per_label=cap)
    expected, counts = specified(predictions, truth, 0.7, cap, 50)
    assert rows == without_audio(expected)
    for name in ("candidates", "false_positives", "unjudged", "unplaced", "without_score"):
        assert getattr(report, name) == counts[name], name


def test_output_onto_an_input(tmp_path: Path) -> None:
    expected, _ = mine(tmp_path, [heard("p", 5.0, snare=0.9)], [event("a", 1.0, "kick")])
    target = tmp_path / "truth.jsonl"
    hard_negatives(tmp_path / "predictions.jsonl", target, target)
    assert [json.loads(line) for line in target.read_text().splitlines()] == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"sample_id": "a"}', "components: is missing"),
        ('{"components": []}', "sample_id: is missing"),
        ('{"sample_id": "a", "components": []}', "components: is empty, and negative_example is not true"),
        (
            '{"sample_id": "a", "components": [{"label": ""}]}',
            r"components\[0\]\.label: Expected str of length",
        ),
        (
            '{"sample_id": "a", "components": [{"label": "k", "velocity": 2}]}',
            r"velocity: Expected float <= 1\.0",
        ),
        (
            '{"sample_id": "a", "components": [{"label": "k"}], "onset_time": -1}',
            "onset_time: Expected float >= 0",
        ),
        (
            '{"sample_id": "a", "components": [{"label": "k"}], "session_id": ""}',
            "session_id: Expected str of length",
        ),
        (
            '{"sample_id": "a", "components": [{"label": "k"}], "onset_time": NaN}',
            "onset_time: is nan, not a finite",
        ),
        ("[]", "is not a JSON object"),
        ('{"sample_id"', "is not valid JSON"),
    ],
)
def test_a_faulty_short_truth_is_named(line: str, message: str, tmp_path: Path) -> None:
    predictions = write_jsonl(tmp_path / "predictions.jsonl", [heard("p", 5.0, snare=0.9)])
    truth = write_jsonl(tmp_path / "truth.jsonl", [event("a", 1.0, "kick")])
    truth.write_text(truth.read_text() + "\n" + line + "\n")
    with pytest.raises(InputError, match=rf"truth\.jsonl:3: .*{message}"):
        hard_negatives(predictions, truth, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_other_errors_keep_the_old_file(tmp_path: Path) -> None:
    good, truth = [heard("p", 5.0, snare=0.9)], [event("a", 1.0, "kick")]
    mine(tmp_path, good, truth)
    out = tmp_path / "negatives.jsonl"
    old = out.read_bytes()
    with pytest.raises(InputError, match=r"predictions\.jsonl: holds no predictions$"):
        mine(tmp_path, [], truth)
    with pytest.raises(InputError, match=r"truth\.jsonl: holds no events$"):
        mine(tmp_path, good, [])
    with pytest.raises(InputError, match=r"predictions\.jsonl:2: scores\[\.\.\.\]: Expected float <= 1\.0$"):
        mine(tmp_path, [*good, heard("q", 1.0, kick=1.5)], truth)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(
        gzip.compress(b"".join(json.dumps(event(str(k), k, "kick")).encode() for k in range(5000)))[:-99]
    )
    with pytest.raises(InputError, match=r"cut\.jsonl\.gz: the compressed file is damaged"):
        hard_negatives(write_jsonl(tmp_path / "predictions.jsonl", good), cut, out)
    with pytest.raises(InputError, match=r"nowhere\.jsonl: cannot be read: No such file"):
        hard_negatives(tmp_path / "predictions.jsonl", tmp_path / "nowhere.jsonl", out)
    assert out.read_bytes() == old


def test_scores_of_a_parquet_file_are_checked(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    truth = write_jsonl(tmp_path / "truth.jsonl", [event("a", 1.0, "kick")])
    kind = pa.struct([("snare", pa.float64()), ("kick", pa.float64())])
    for score, message in (
        (1.5, "row 2: scores: holds a score that is not between 0 and 1"),
        (float("nan"), "row 2: scores: holds a score that is not between 0 and 1"),
    ):
        scores = pa.array([{"snare": 0.9}, {"kick": score}], kind)
        table = pa.table(
            {"sample_id": ["p", "q"], "session_id": ["s", "s"], "onset_time": [5.0, 6.0], "scores": scores}
        )
        pq.write_table(table, tmp_path / "p.parquet")
        with pytest.raises(InputError, match=message):
            hard_negatives(tmp_path / "p.parquet", truth, tmp_path / "out.jsonl")
    pq.write_table(table.slice(0, 1), tmp_path / "p.parquet")
    assert hard_negatives(tmp_path / "p.parquet", truth, tmp_path / "out.jsonl").written == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"min_confidence": 1.1}, "min_confidence must be between 0 and 1, got 1.1"),
        ({"min_confidence": float("nan")}, "min_confidence must be between 0 and 1, got nan"),
        ({"max_per_label": 0}, "max_per_label must be at least 1, got 0"),
        ({"window_ms": -1}, "window_ms must be between 0 and 3600000, got -1"),
        ({"clip_after_ms": float("inf")}, "clip_after_ms must be between 0 and 3600000, got inf"),
    ],
)
def test_wrong_settings(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        mine(tmp_path, [heard("p", 5.0)], [event("a", 1.0, "kick")], **wrong)
    with pytest.raises(UsageError, match=r"out\.txt: its name must end in"):
        hard_negatives(tmp_path / "p", tmp_path / "t", tmp_path / "out.txt")


def test_the_command_on_the_published_examples(shared: Path, tmp_path: Path) -> None:
    examples = shared / "data" / "peer-examples" / "examples"
    out = tmp_path / "negatives.jsonl"
    run = ["negatives", "--predictions", str(examples / "hard_negative_predictions_example.jsonl")]
    run += ["--ground-truth", str(examples / "hard_negative_events_example.jsonl"), "--output", str(out)]
    run += ["--min-confidence", "0.7", "--max-per-label", "150"]
    shown = CliRunner().invoke(app, run)
    assert shown.exit_code == 0, shown.output
    assert "1 hard negative of 1 false positive among 2 confident labels." in shown.stdout
    assert "1 prediction could not be judged" in shown.stderr
    assert "'sess_b' (1)" in shown.stderr
    (row,) = map(json.loads, out.read_text().splitlines())
    assert (row["sample_id"], row["truth_labels"]) == ("cand_0001:neg:snare", ["kick"])
    answer = json.loads(CliRunner().invoke(app, [*run, "--json"]).stdout)
    assert answer["labels"] == {"snare": {"found": 1, "written": 1, "hardest": 0.92, "easiest": 0.92}}
    assert answer["unjudged_sessions"] == {"sess_b": 1}
