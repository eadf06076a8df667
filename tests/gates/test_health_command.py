"""``beatsight gate health``: exit codes, the seed's line, bad inputs in one sentence, the page."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from beatsight.cli.main import run

KICK = {"sample_id": "a", "session_id": "s", "onset_time": 1.5, "components": [{"label": "kick"}]}


def call(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as done:
        run(["gate", "health", *map(str, words)])
    return int(done.value.code or 0)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    source = tmp_path / "my events.jsonl"
    rows = [
        KICK,
        {**KICK, "sample_id": "b", "onset_time": 2.5, "unknown key": [1], "components": [{"label": "gong"}]},
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 0),
        (("--strict",), 1),
        (("--max-duplication-rate", "0", "--strict"), 0),
        (("--min-class-count", "1", "--strict"), 0),
        (("--min-class-count", "2", "--strict"), 1),
        (("--min-class-count", "2"), 0),
        (("--max-unknown-labels", "1", "--strict"), 0),
        (("--max-unknown-labels", "0", "--strict"), 1),
        (("--require-label", "BD", "--strict"), 0),
        (("--require-label", "BD", "--require-label", "snare", "--strict"), 1),
        (("--require-technique", "flam", "--strict"), 1),
        (("--min-class-count", "-1"), 2),
        (("--max-duplication-rate", "7"), 2),
        (("--max-dc", ".1"), 2),
        (("--isolate", "kit"), 2),
        (("--no-such-flag",), 2),
    ],
)
def test_exit_codes(words: tuple[str, ...], code: int, events: Path) -> None:
    assert call("--events", events, *words) == code


def test_without_events() -> None:
    assert call("--strict") == 2


def test_strict_without_a_threshold_says_so(events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--events", events, "--strict") == 1
    assert "no threshold was given" in capsys.readouterr().err


def test_json_is_one_object(events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--events", events, "--json", "--max-unknown-labels", "0") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["labels"]["kick"] == {"real": 1, "synthetic": 0}
    assert found["unknown_labels"] == {"gong": 1}
    assert [(one["gate"], one["passed"]) for one in found["gating_results"]] == [("unknown_labels", False)]


def test_the_line_of_the_old_program(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = shared / "data/peer-examples"
    output, html = tmp_path / "reports/health/latest.json", tmp_path / "reports/health/page.html"
    components = tmp_path / "components.json"
    components.write_text('["kick", "snare", "hihat_closed", "crash", "ride_bow", "ride_bell"]')
    code = call(
        "--events", peer / "examples/events_health_example.jsonl", "--components", components,
        "--output", output, "--html-output", html,
        "--dataset-metadata", peer / "examples/metadata_health_example.json",
        "--max-duplication-rate", "0.005", "--min-class-count", "200", "--max-unknown-labels", "0",
        "--require-technique", "hihat_bark",
        "--require-techniques-file", peer / "configs/health_required_techniques_prod.txt",
        "--require-label", "hihat_open",
        "--require-labels-file", peer / "configs/health_require_labels_example.txt",
        "--min-counts-json", peer / "configs/health_min_counts_example.json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(output.read_text())
    verdicts = {one["gate"]: one["passed"] for one in found["gating_results"]}
    assert found["passed"] is False
    assert [name for name in verdicts if name.startswith("technique.")] == [
        f"technique.{name}"
        for name in ("hihat_bark", "metric_modulation", "variable_meter", "multi_cymbal_same_class")
    ]
    assert all(ok for name, ok in verdicts.items() if name.startswith("technique."))
    assert {name: ok for name, ok in verdicts.items() if name.startswith("label.")} == {
        "label.hihat_open": False, "label.basic": False, "label.kick": True, "label.snare": True,
        "label.hihat_closed": True, "label.crash": True, "label.ride_bow": True,
    }  # fmt: skip
    assert verdicts["duplication_rate"] and verdicts["unknown_labels"]
    assert not any(ok for name, ok in verdicts.items() if name.startswith(("min_count.", "min_class_count.")))
    assert len([name for name in verdicts if name.startswith("min_count.")]) == 10
    assert found["durations"]["split_durations_seconds"] == {"train": 1800.0, "val": 600.0}
    text = " ".join(capsys.readouterr().out.split())
    assert "FAILED: 18 of 29 gates" in text and "the list of components does not hold it" in text
    assert html.read_text().startswith("<!DOCTYPE html>")


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"bad\.jsonl: holds no events$"),
    "not json": (b"kick\n", r"bad\.jsonl:1: is not valid JSON"),
    "nan": (
        b'{"sample_id": "a", "session_id": "s", "onset_time": NaN, "components": [{"label": "kick"}]}\n',
        r"bad\.jsonl:1: onset_time: is nan, not a finite number$",
    ),
    "wrong type": (
        json.dumps(KICK | {"loudness": {"LUFS_i": "loud"}}).encode(),
        r"bad\.jsonl:1: loudness\.LUFS_i: Expected float",
    ),
    "no label": (
        json.dumps(KICK | {"components": [{}]}).encode(),
        r"bad\.jsonl:1: components\[0\]\.label: is missing$",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_events(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = BAD[kind]
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content)
    assert call("--events", bad, "--output", tmp_path / "r.json") == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(message, error.strip())
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(
    ("flag", "content", "message"),
    [
        ("--components", "", r"given: is empty$"),
        ("--components", "[", r"given: is not valid JSON"),
        ("--components", "[]", r"given: holds no labels$"),
        ("--components", "3", r"given: is no list of labels"),
        ("--components", '[{"colour": "red"}]', r"given: entry 1 has no name \(name, label or id\)$"),
        ("--min-counts-json", "{}", r"given: is no object of labels and counts$"),
        ("--min-counts-json", '{"kick": "many"}', r"given: kick: is no whole number from 0, but 'many'$"),
        ("--min-counts-json", '{"kick": NaN}', r"given: is not valid JSON"),
        ("--min-counts-json", '{"kick": true}', r"given: kick: is no whole number"),
        ("--min-counts-json", '{"kick": -1}', r"given: kick: is no whole number from 0"),
        ("--require-labels-file", "# nothing\n\n", r"given: holds no names$"),
        ("--require-techniques-file", "", r"given: holds no names$"),
        ("--dataset-metadata", "", r"given: is empty$"),
        ("--dataset-metadata", '{"a": 1}', r"given: holds no durations by split or source"),
        ("--dataset-metadata", '{"split_durations_seconds": {"train": -1}}', r"given: split_dur\S+: "),
        ("--split", '{"sessions": {"x": "train"}}', r"given: has no word of 1 session \('s'\) of the e"),
        ("--split", '{"sessions": {}}', r"given: sessions: is no object that names any session$"),
        ("--split", '{"sessions": {"s": 3}}', r"given: sessions\.s: is 3, neither a split nor null$"),
        ("--split", '{"sessions": {"train": [3]}}', r"given: sessions\.train: holds 3, which is no session$"),
        ("--split", "{}", r"given: sessions: is missing$"),
    ],
)  # fmt: skip
def test_bad_files(
    flag: str, content: str, message: str, events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "given"
    given.write_text(content)
    assert call("--events", events, flag, given) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(message, error.strip())


@pytest.mark.parametrize(
    "flag",
    [
        "--events",
        "--components",
        "--split",
        "--dataset-metadata",
        "--min-counts-json",
        "--require-labels-file",
    ],
)
def test_a_missing_file(flag: str, events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--events", events, flag, tmp_path / "nowhere") == 3
    assert re.search(r"nowhere: cannot be read: No such file or directory$", capsys.readouterr().err.strip())


def test_a_cut_file_and_one_given_twice(
    events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(events.read_bytes() * 999)[:-20])
    assert call("--events", cut) == 3
    assert "cut.jsonl.gz: the compressed file is damaged" in capsys.readouterr().err
    assert call("--events", events, "--events", events) == 2
    assert "is given twice" in capsys.readouterr().err


def test_the_report_does_not_replace_its_input(events: Path) -> None:
    before = events.read_bytes()
    assert call("--events", events, "--output", events) == 2
    assert events.read_bytes() == before


def test_etc_passwd_is_not_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = tmp_path / "e.jsonl"
    events.write_text(json.dumps(KICK | {"audio_path": "../../etc/passwd"}))
    assert call("--events", events, "--check-audio") == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(r"e\.jsonl: audio_path: \.\./\.\./etc/passwd: leaves its root folder", error)


def test_the_page_holds_everything_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    about: dict[str, Any] = {
        "components": [{"label": "crash", "instrument_variant": evil}, {"label": evil}],
        "techniques": [evil, "flam"], "source_set": evil, "session_id": evil, "drummer_id": evil,
        "tempo_bpm": 120, "meter": "7/8", "loudness": {"LUFS_i": -20, "peak_dbfs": -1},
    }  # fmt: skip
    rows = [KICK | about | {"sample_id": f"{evil}{number // 2}"} for number in range(60)]
    events, split = tmp_path / "e.jsonl", tmp_path / "split.json"
    events.write_text("".join(json.dumps(row) + "\n" for row in rows))
    split.write_text(json.dumps({"sessions": {evil: "train"}}))
    page = tmp_path / "page.html"
    words = ("--require-label", evil, "--require-technique", evil, "--max-duplication-rate", "0")
    assert call("--events", events, "--split", split, "--html-output", page, *words) == 0
    html = page.read_text()
    assert "alert(" in html and evil not in html
    for heading in ("Labels", "Techniques", "Duplicates", "Split", "Tempo, meter and loudness"):
        assert heading in html
    assert "… and 10 more" in html
    assert not re.search(r"(src|href)=\"https?:", html)
