"""Manifests against their recordings: planted faults and copies, and the rows that name no recording."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from event_strategies import write_jsonl

from beatsight.errors import InputError, UsageError
from beatsight.events import Event, decode, write_records
from beatsight.manifest.sounds import near_duplicates, verify
from beatsight.manifest.verify import Problem
from beatsight.synth.song import make_song

RATE = 22_050


def event(number: int, audio: str | None, onset_s: float = 0.5, **changes: Any) -> dict[str, Any]:
    base = {"sample_id": f"e{number}", "session_id": f"of {audio}", "onset_time": onset_s}
    named = {} if audio is None else {"audio_path": audio}
    return base | named | {"components": [{"label": "kick"}]} | changes


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs, a quieter copy of the first in a folder of its own, and a manifest folder beside them."""
    root = tmp_path_factory.mktemp("music set")
    for folder in ("audio", "other", "lists"):
        (root / folder).mkdir()
    for seed in (1, 2):
        song = make_song(seed, duration_s=8.0, style="rock", meter="4/4", tempo_bpm=120.0, kit_seed=9)
        audio = song.audio[::2]
        soundfile.write(root / "audio" / f"song {seed}.wav", audio, RATE)
        if seed == 1:
            soundfile.write(root / "other" / "cópy.flac", 0.5 * audio, RATE)
    return root


def both_formats(path: Path, rows: list[dict[str, Any]]) -> list[Path]:
    write_jsonl(path, rows)
    write_records(path.with_suffix(".parquet"), (decode(json.dumps(row), Event, "") for row in rows))
    return [path, path.with_suffix(".parquet")]


class TestVerify:
    def test_planted_faults(self, music: Path) -> None:
        rows = [
            event(1, "audio/song 1.wav", sample_rate=RATE, channels=1),
            event(2, None),
            event(3, "audio/song 1.wav", 8.5),
            event(4, "audio/song 1.wav", 8.5),
            event(5, "audio/none.wav"),
            event(6, ""),
            event(7, "../outside.wav"),
            event(8, "/etc/passwd"),
            event(9, "audio/song 2.wav", sample_rate=RATE),
            event(10, "audio/song 2.wav", sample_rate=44_100),
            event(11, "other", audio_path="other"),
        ]
        for path in both_formats(music / "faulty.jsonl", rows):
            report = verify(path)
            assert (report.recordings, report.without_audio) == (6, 2)
            assert [(one.audio_path, one.row, one.field) for one in report.problems] == [
                ("audio/song 1.wav", 3, "onset_time"),
                ("audio/none.wav", 5, "audio_path"),
                ("../outside.wav", 7, "audio_path"),
                ("/etc/passwd", 8, "audio_path"),
                ("audio/song 2.wav", 9, "sample_rate"),
                ("other", 11, "audio_path"),
            ]
            why = {one.audio_path: one.why for one in report.problems}
            assert "8.5 s is not before the end of the audio (8.0" in why["audio/song 1.wav"]
            assert why["audio/none.wav"] == "no such file"
            assert "leaves its root folder" in why["../outside.wav"]
            assert "is an absolute path" in why["/etc/passwd"]
            assert why["audio/song 2.wav"] == f"the manifest says 44100, the file {RATE}"

    def test_a_sound_manifest_elsewhere(self, music: Path) -> None:
        rows = [event(1, "audio/song 1.wav"), event(2, "other/cópy.flac")]
        (path, _) = both_formats(music / "lists" / "fine.jsonl", rows)
        seen: list[tuple[int, int]] = []
        report = verify(path, music, deep=True, progress=lambda *at: seen.append(at))
        assert (report.recordings, report.without_audio, report.problems) == (2, 0, [])
        assert seen == [(1, 2), (2, 2)]
        assert [one.why for one in verify(path).problems] == ["no such file"] * 2

    def test_hashes_of_the_provenance_are_compared_when_asked(self, music: Path) -> None:
        path = write_jsonl(
            music / "hashed.jsonl", [event(1, "audio/song 1.wav"), event(2, "audio/song 2.wav")]
        )
        digest = hashlib.sha256((music / "audio" / "song 1.wav").read_bytes()).hexdigest()
        provenance = {"audio": {"audio/song 1.wav": digest, "audio/song 2.wav": digest}}
        path.with_name("hashed.jsonl.provenance.json").write_text(json.dumps(provenance))
        assert verify(path).problems == []
        why = "the file's content is not what the provenance states"
        assert verify(path, deep=True).problems == [Problem("audio/song 2.wav", 2, "sha256", why)]

    @pytest.mark.parametrize(
        ("rows", "why"),
        [
            ([], r"x\.jsonl: holds no events$"),
            ([event(1, None), event(2, "")], r"x\.jsonl: no event names an audio file$"),
            ([event(1, "a.wav", -1.0)], r"x\.jsonl:1: onset_time: "),
        ],
    )
    def test_what_cannot_be_verified(self, tmp_path: Path, rows: list[dict[str, Any]], why: str) -> None:
        path = write_jsonl(tmp_path / "x.jsonl", rows)
        with pytest.raises(InputError, match=why):
            verify(path)
        pytest.importorskip("sklearn")
        with pytest.raises(InputError, match=why):
            near_duplicates([path])


class TestNearDuplicates:
    @pytest.fixture(autouse=True)
    def _needs(self) -> None:
        pytest.importorskip("sklearn")

    def test_a_copy_in_another_split_is_found_through_manifests(self, music: Path) -> None:
        rows = [
            event(n, name)
            for n, name in enumerate(["audio/song 1.wav", "audio/song 2.wav", "audio/song 1.wav"])
        ]
        more = [
            event(9, "other/cópy.flac"),
            event(10, None),
            event(11, "../out.wav"),
            event(12, "other/no.wav"),
        ]
        paths = both_formats(music / "first.jsonl", rows)
        second = write_jsonl(music / "lists" / "second.jsonl", more)
        sessions = {row["session_id"]: "train" for row in [*rows, *more]} | {"of other/cópy.flac": "val"}
        seen: list[tuple[int, int]] = []
        for path in paths:
            found = near_duplicates([path, second], sessions=sessions, progress=lambda *at: seen.append(at))
            assert [(pair.first, pair.second, pair.kind) for pair in found.pairs] == [
                ("audio/song 1.wav", "other/cópy.flac", "same audio")
            ]
            assert found.pairs[0].across_splits and not found.pairs[0].same_session
            assert found.pairs[0].gain_db == pytest.approx(-6.0, abs=0.2)
            assert (found.compared, found.without_audio) == (3, 1)
            assert list(found.skipped) == ["../out.wav", "other/no.wav"]
            assert "leaves its root folder" in found.skipped["../out.wav"]
            assert seen[:4] == [(1, 4), (2, 4), (3, 4), (4, 4)] and seen[-1][0] == seen[-1][1]
            assert not near_duplicates([path, second]).pairs[0].across_splits

    def test_one_recording_of_two_splits_is_a_pair_with_itself(self, music: Path) -> None:
        rows = [event(n, "audio/song 1.wav", session_id=name) for n, name in enumerate("abca")]
        path = write_jsonl(music / "shared.jsonl", rows)
        found = near_duplicates([path], sessions={"a": "train", "b": None, "c": "test"})
        assert [(one.first, one.second, one.across_splits) for one in found.pairs] == [
            ("audio/song 1.wav",) * 2 + (True,)
        ]
        assert near_duplicates([path], sessions={"a": "train", "b": None, "c": "train"}).pairs == ()
        with pytest.raises(InputError, match=r"^the split has no word of 2 of the sessions, such as 'b'$"):
            near_duplicates([path], sessions={"a": "train"})

    def test_the_root_may_be_another_folder(self, music: Path) -> None:
        path = write_jsonl(music / "lists" / "rooted.jsonl", [event(1, "audio/song 1.wav")])
        assert near_duplicates([path], music).compared == 1
        assert list(near_duplicates([path]).skipped) == ["audio/song 1.wav"]
        with pytest.raises(UsageError, match=r"rooted\.jsonl: is given twice$"):
            near_duplicates([path, path])


def test_audio_is_what_the_test_thinks(music: Path) -> None:
    one, two = (soundfile.read(music / name)[0] for name in ("audio/song 1.wav", "other/cópy.flac"))
    assert np.allclose(0.5 * one, two, atol=1e-4) and 8.0 <= len(one) / RATE < 8.5
