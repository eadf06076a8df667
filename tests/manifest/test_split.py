"""Splits of manifests: nothing shared by two sides, by a plain check; every row written exactly once."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.dataset.splits import check_splits
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, decode, read_records, to_builtins, write_records
from beatsight.manifest.engine.rewrite import SUFFIXES
from beatsight.manifest.splitting.split import LEFT_OUT, SHARED_KEYS, Split, split_manifest, write_manifests
from beatsight.manifest.splitting.split_file import read_split, write_split
from beatsight.taxonomy import is_known, resolve


def event(session: str, number: int = 0, label: str = "kick", **changes: Any) -> dict[str, Any]:
    base = {"sample_id": f"{session} {number}", "session_id": session, "onset_time": number / 4}
    return base | {"components": [{"label": label}]} | changes


def sessions(count: int, hits: int = 8, **changes: Any) -> list[dict[str, Any]]:
    """Sessions that share nothing; hits alternate between three labels."""
    labels = ("kick", "snare", "hihat_closed")
    return [
        event(f"s{session:03d}", number, labels[number % 3], drummer_id=f"d{session}") | changes
        for number in range(hits)
        for session in range(count)
    ]


def groups(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> dict[str, int]:
    """Group of each session, found by spreading over shared keys until nothing changes."""
    group = {row["session_id"]: number for number, row in enumerate(rows)}
    changed = True
    while changed:
        changed = False
        least: dict[tuple[str, str], int] = {}
        for row in rows:
            for key in ("session_id", *keys):
                if row.get(key):
                    at = (key, row[key])
                    least[at] = min(least.get(at, len(rows)), group[row["session_id"]])
        for row in rows:
            for key in ("session_id", *keys):
                if row.get(key) and least[key, row[key]] < group[row["session_id"]]:
                    group[row["session_id"]] = least[key, row[key]]
                    changed = True
    return group


def check(rows: list[dict[str, Any]], made: Split, keys: tuple[str, ...]) -> None:
    assert made.sessions.keys() == {row["session_id"] for row in rows}
    sides: dict[int, set[str]] = {}
    found = groups(rows, keys)
    for session, side in made.sessions.items():
        if side is not None:
            sides.setdefault(found[session], set()).add(side)
    assert all(len(side) == 1 for side in sides.values())
    assert made.groups == len(set(found.values()))
    for key in keys:
        seen: dict[str, set[str]] = {}
        for row in rows:
            side = made.sessions[row["session_id"]]
            if row.get(key) and side is not None:
                seen.setdefault(row[key], set()).add(side)
        assert all(len(side) == 1 for side in seen.values())
    counted = Counter(made.sessions[row["session_id"]] for row in rows)
    assert {name: share.count for name, share in made.assignment.events.items()} == {
        name: counted[name] for name in made.assignment.splits
    }
    hits: Counter[tuple[str | None, str]] = Counter()
    for row in rows:
        for part in row["components"]:
            label = resolve(part["label"]) if is_known(part["label"]) else part["label"]
            hits[made.sessions[row["session_id"]], label] += 1
    for name, labels in made.assignment.labels.items():
        assert {label: share.count for label, share in labels.items()} == {
            label: hits[name, label] for label in labels
        }


@pytest.mark.parametrize("keys", [SHARED_KEYS, ("drummer_id",), ()])
def test_twenty_thousand_odd_rows(tmp_path: Path, keys: tuple[str, ...]) -> None:
    rows = odd_events(20_000, seed=31)
    # As they are, all of them are joined; so many drummers, kits and rooms leave groups and chains.
    for row in rows:
        for key in SHARED_KEYS:
            if row.get(key):
                row[key] += f" {int(''.join(c for c in row['session_id'] if c.isdigit())) // 9}"
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    made = split_manifest([source], seed=3, shared=keys)
    check(rows, made, keys)
    assert made.groups > 40
    assert set(made.sessions.values()) == {"train", "val", "test"}
    shares = made.assignment.events
    assert all(abs(share.share - share.wanted) < 0.02 for share in shares.values())
    write_records(tmp_path / "in.parquet", read_records(source, Event))
    from_parquet = split_manifest([tmp_path / "in.parquet"], seed=3, shared=keys)
    assert from_parquet.sessions == made.sessions
    assert from_parquet.assignment.labels == made.assignment.labels
    # Cut in two files, the same; with another seed, another.
    parts = [write_jsonl(tmp_path / f"{n}.jsonl", some) for n, some in enumerate((rows[:9000], rows[9000:]))]
    assert split_manifest(parts, seed=3, shared=keys).sessions == made.sessions
    assert split_manifest([source], seed=4, shared=keys).sessions != made.sessions


@settings(max_examples=40)
@given(
    rows=st.lists(event_dicts, min_size=1, max_size=8),
    keys=st.lists(st.sampled_from(SHARED_KEYS), unique=True).map(tuple),
    seed=st.integers(0, 3),
)
def test_any_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], keys: tuple[str, ...], seed: int
) -> None:
    source = write_jsonl(tmp_path_factory.mktemp("any") / "in.jsonl", rows)
    check(rows, split_manifest([source], seed=seed, shared=keys), keys)


def test_chains_hold_sessions_together(tmp_path: Path) -> None:
    # a and b share a drummer, b and c a kit, c and d a room; a kit named as the drummer joins nothing.
    chain = [
        event("a", drummer_id="x"), event("b", drummer_id="x"), event("b", 1, kit_id="k"),
        event("c", kit_id="k"),
        event("c", 1, room_id="r"), event("d", room_id="r"), event("e", kit_id="x"), event("f", room_id=""),
        event("g", room_id=""),
    ]  # fmt: skip
    source = write_jsonl(tmp_path / "in.jsonl", chain)
    shares = {"train": 0.5, "val": 0.5}
    made = split_manifest([source], fractions=shares)
    assert made.groups == 4
    assert len({made.sessions[name] for name in "abcd"}) == 1
    assert split_manifest([source], fractions=shares, shared=("kit_id",)).groups == 6
    assert split_manifest([source], fractions=shares, shared=()).groups == 7
    # One kit list that joins all sessions leaves one group.
    joined = write_jsonl(tmp_path / "kits.jsonl", [event(f"s{n}", kit_id="all") for n in range(9)])
    assert split_manifest([joined]).content.notes == ["all 9 sessions are one group: nothing can be held out"]
    assert split_manifest([joined], shared=("drummer_id",)).groups == 9


def test_labels_are_spread_evenly(tmp_path: Path) -> None:
    rows = sessions(100)
    for row in rows:
        if row["session_id"] in {f"s{n:03d}" for n in range(0, 100, 5)}:
            row["components"].append({"label": "china"})
    made = split_manifest([write_jsonl(tmp_path / "in.jsonl", rows)])
    for name, wanted in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert {label: share.share for label, share in made.assignment.labels[name].items()} == pytest.approx(
            {"china": wanted, "hihat_closed": wanted, "kick": wanted, "snare": wanted}, abs=0.02
        )


def test_the_synthetic_cap_leaves_sessions_out_and_says_so(tmp_path: Path) -> None:
    rows = sessions(60)
    for row in rows:
        row["is_synthetic"] = row["session_id"] >= "s020"
    made = split_manifest([write_jsonl(tmp_path / "in.jsonl", rows)], synthetic_cap=0.5)
    check(rows, made, SHARED_KEYS)
    left = [name for name, side in made.sessions.items() if side is None]
    assert left and all(name >= "s020" for name in left)
    for name in made.assignment.splits:
        assert made.assignment.synthetic[name].count <= 0.5 * made.assignment.events[name].count
    assert any("left out" in note for note in made.content.notes)
    files = write_manifests(made, [tmp_path / "in.jsonl"], tmp_path / "out")
    assert files[LEFT_OUT] == 8 * len(left) and sum(files.values()) == len(rows)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_row_is_written_once_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    rows = odd_events(2000, seed=8)
    paths = [write_jsonl(tmp_path / "a.jsonl", rows[:900]), tmp_path / "b.jsonl.gz"]
    paths[1].write_bytes(gzip.compress(b"\n\r\n".join(json.dumps(row).encode() for row in rows[900:])))
    made = split_manifest(paths, shared=())
    counts = write_manifests(made, paths, tmp_path / "new" / "out", suffix=suffix)
    written = {name: tmp_path / "new" / "out" / f"{name}{suffix}" for name in counts}
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == {p.name for p in written.values()}
    assert list(counts) == ["train", "val", "test"] and all(counts.values())
    for name, path in written.items():
        mine = [row for row in rows if made.sessions[row["session_id"]] == name]
        assert counts[name] == len(mine)
        events = list(read_records(path, Event))
        wanted = [to_builtins(decode(json.dumps(row), Event, "")) for row in mine]
        if suffix == ".parquet":
            assert [one.sample_id for one in events] == [row["sample_id"] for row in wanted]
        else:
            assert [to_builtins(one) for one in events] == wanted
    if suffix == ".jsonl":
        lines = paths[0].read_bytes().splitlines() + gzip.decompress(paths[1].read_bytes()).split(b"\n\r\n")
        got = [line for path in written.values() for line in path.read_bytes().splitlines()]
        assert Counter(got) == Counter(lines)


def test_the_split_file_is_read_back_and_fits_a_dataset(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", sessions(30))
    made = split_manifest([source], seed=7, shared=("kit_id",))
    write_split(made.content, tmp_path / "new" / "split.json")
    assert read_split(tmp_path / "new" / "split.json") == made.sessions
    check_splits(made.sessions, {row["session_id"] for row in sessions(30)}, "split.json")
    written = json.loads((tmp_path / "new" / "split.json").read_text())
    assert written["format"] == "beatsight-split/1"
    assert written["parameters"] == {
        "fractions": {"train": 0.8, "val": 0.1, "test": 0.1}, "seed": 7, "synthetic_cap": None,
        "shared": ["kit_id"], "events": [str(source)],
    }  # fmt: skip
    assert written["groups"] == 30
    assert written["events"]["train"] == {"count": 192, "share": 0.8, "wanted": 0.8}


class TestRefusals:
    @pytest.mark.parametrize(
        ("rows", "why"),
        [
            ([], r"in\.jsonl: holds no events$"),
            ([event("a", onset_time=-1)], r"in\.jsonl:1: onset_time: "),
        ],
    )
    def test_faulty_manifests(self, tmp_path: Path, rows: list[Any], why: str) -> None:
        with pytest.raises(InputError, match=why):
            split_manifest([write_jsonl(tmp_path / "in.jsonl", rows)])

    def test_one_manifest_twice(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [event("a")])
        with pytest.raises(UsageError, match=r"in\.jsonl: is given twice$"):
            split_manifest([source, source])

    @pytest.mark.parametrize(
        ("fractions", "why"),
        [
            ({"train": 0.8, "val": 0.1}, r"shares of the splits must add up to 1, not 0\.9"),
            ({"train": float("nan")}, r"shares of the splits must lie in 0\.\.1"),
            ({"train": 0.5, "../x": 0.5}, r"^'\.\./x' cannot be the name of a split$"),
            ({"train": 0.5, "left_out": 0.5}, r"^'left_out' cannot be the name of a split$"),
            ({"train": 0.5, "..": 0.5}, r"^'\.\.' cannot be the name of a split$"),
        ],
    )
    def test_shares(self, tmp_path: Path, fractions: dict[str, float], why: str) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [event("a")])
        with pytest.raises((InputError, UsageError), match=why):
            split_manifest([source], fractions=fractions)

    def test_other_settings(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [event("a")])
        with pytest.raises(
            UsageError, match=r"^track_id cannot hold sessions together; known: drummer_id, kit_id"
        ):
            split_manifest([source], shared=["track_id"])
        with pytest.raises(InputError, match=r"cap on synthetic events must lie in 0\.\.1"):
            split_manifest([source], synthetic_cap=1.5)
        made = split_manifest([source])
        with pytest.raises(UsageError, match=r"^\.csv: unknown format; known: \.jsonl, "):
            write_manifests(made, [source], tmp_path, suffix=".csv")

    def test_a_manifest_that_changed_is_not_divided(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", [event("a"), event("b")])
        made = split_manifest([source])
        write_jsonl(source, [event("a"), event("new")])
        with pytest.raises(InputError, match=r"in\.jsonl: the split does not name its session 'new'$"):
            write_manifests(made, [source], tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []

    def test_a_gzip_cut_short_keeps_the_old_files(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", odd_events(500, 3))
        made = split_manifest([source], shared=())
        (tmp_path / "in.jsonl.gz").write_bytes(gzip.compress(source.read_bytes())[:-100])
        (tmp_path / "train.jsonl").write_text("old")
        for call in (split_manifest, lambda paths: write_manifests(made, paths, tmp_path)):
            with pytest.raises(
                InputError, match=r"in\.jsonl\.gz: the compressed file is damaged after line \d+"
            ):
                call([tmp_path / "in.jsonl.gz"])
        assert (tmp_path / "train.jsonl").read_text() == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "in.jsonl.gz", "train.jsonl"]

    def test_a_pipe_can_be_split_but_not_divided(self, tmp_path: Path) -> None:
        source = write_jsonl(tmp_path / "in.jsonl", sessions(10))
        made = split_manifest([source])
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as stream:
            stream.write(source.read_bytes())
        pipe = Path(f"/dev/fd/{reading}")
        if not pipe.exists():
            pytest.skip("this system has no /dev/fd")
        try:
            with pytest.raises(
                InputError, match=rf"^{pipe}: is a pipe or device, and this reads its input twice"
            ):
                write_manifests(made, [pipe], tmp_path / "out")
            assert split_manifest([pipe]).sessions == made.sessions
        finally:
            os.close(reading)

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"sessions": {"a": 1}}', b"\xff"])
    def test_what_is_no_split_file(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "split.json").write_bytes(content)
        with pytest.raises(InputError, match=r"split\.json: is not a split of sessions: "):
            read_split(tmp_path / "split.json")
