"""Audio against its manifest: planted faults, each found, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beatsight.errors import InputError
from beatsight.manifest.verify import AudioUse, Problem, Provenance, check_audio, read_provenance

RATE = 22_050
SECONDS = 2.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the same noise as stereo wav, flac, ogg and mp3."""
    noise = 0.2 * np.random.default_rng(3).standard_normal((round(SECONDS * RATE), 2))
    folder = tmp_path / "set"
    folder.mkdir()
    for suffix in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(folder / f"a.{suffix}", noise, RATE)
    return folder


def use(path: str, last_onset_s: float = 1.0, **stated: int) -> AudioUse:
    return AudioUse(path, 5, 11, last_onset_s, 15, **stated)


def only(problems: list[Problem]) -> tuple[int, str, str]:
    assert len(problems) == 1, problems
    return problems[0].row, problems[0].field, problems[0].why


def cut(path: Path, share: float = 0.6) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_manifest_has_no_problems(root: Path, deep: bool) -> None:
    uses = [
        use(f"a.{s}", SECONDS - 0.01, sample_rate=RATE, channels=2) for s in ("wav", "flac", "ogg", "mp3")
    ]
    hashes = {u.audio_path: hashlib.sha256((root / u.audio_path).read_bytes()).hexdigest() for u in uses}
    seen: list[tuple[int, int]] = []
    assert check_audio(iter(uses), root, hashes, deep=deep, progress=lambda *at: seen.append(at)) == []
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("stated", "row", "field", "why"),
    [
        (use("gone.wav"), 11, "audio_path", "no such file"),
        (use("a.wav/b.wav"), 11, "audio_path", "no such file"),
        (use("a.wav", SECONDS), 15, "onset_time", "2 s is not before the end of the audio (2.000 s)"),
        (use("a.mp3", 9.5), 15, "onset_time", "9.5 s is not before the end of the audio (2.000 s)"),
        (use("a.wav", float("nan")), 15, "onset_time", "nan s is not before the end of the audio (2.000 s)"),
        (use("a.ogg", sample_rate=48_000), 11, "sample_rate", "the manifest says 48000, the file 22050"),
        (use("a.flac", channels=1), 11, "channels", "the manifest says 1, the file 2"),
    ],
)
def test_a_planted_fault_is_found(root: Path, stated: AudioUse, row: int, field: str, why: str) -> None:
    assert only(check_audio([use("a.wav"), stated, use("a.flac")], root, None)) == (row, field, why)


def test_every_fault_of_a_file_is_listed(root: Path) -> None:
    problems = check_audio([use("a.wav", 3.0, sample_rate=8000, channels=6)], root, None)
    assert [problem.field for problem in problems] == ["sample_rate", "channels", "onset_time"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "is an absolute path; give it relative to"),
        ("../secret.wav", "leaves its root folder"),
        ("link.wav", "leaves its root folder"),
        ("loop.wav", ""),
        ("bad\0name.wav", "is not a usable path"),
        ("\ud800.wav", ""),
        ("x" * 5000 + ".wav", "name too long"),
        ("", "is a folder, not a file"),
        ("folder.wav", "is a folder, not a file"),
        ("pipe.wav", "is a device or pipe, not a file"),
        ("empty.wav", "is an empty file, not audio"),
        ("text.wav", "cannot be decoded as audio"),
        ("take.raw", "has no header"),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_no_path_crashes_or_blocks_it(root: Path, path: str, why: str, deep: bool) -> None:
    (root.parent / "secret.wav").write_bytes((root / "a.wav").read_bytes())
    (root / "link.wav").symlink_to(root.parent / "secret.wav")
    (root / "loop.wav").symlink_to("loop.wav")
    (root / "folder.wav").mkdir()
    os.mkfifo(root / "pipe.wav")
    (root / "empty.wav").touch()
    (root / "text.wav").write_text("not audio at all")
    (root / "take.raw").write_bytes(bytes(1000))
    row, field, found = only(check_audio([use(path)], root, {path: "0" * 64}, deep=deep))
    # A file that is there and no audio also has the wrong hash, but is named once, for the greater fault.
    assert (row, field) == (11, "audio_path")
    assert why.lower() in found.lower()


@pytest.mark.parametrize(
    ("suffix", "cheap", "deep"),
    [
        ("wav", "is cut short", "is cut short"),
        ("flac", None, "cannot be decoded as audio"),
        ("mp3", None, "is cut short: 1."),
    ],
)
def test_a_file_cut_short_is_found(root: Path, suffix: str, cheap: str | None, deep: str) -> None:
    cut(root / f"a.{suffix}")
    shallow = check_audio([use(f"a.{suffix}", 0.5)], root, None)
    if cheap is None:
        assert shallow == []
    else:
        assert cheap in only(shallow)[2]
    assert deep in only(check_audio([use(f"a.{suffix}", 0.5)], root, None, deep=True))[2]


def test_a_changed_file_is_found_by_its_hash_when_deep(root: Path) -> None:
    hashes = {"a.wav": hashlib.sha256((root / "a.wav").read_bytes()).hexdigest()}
    samples, rate = soundfile.read(root / "a.wav", dtype="int16")
    samples[100, 0] ^= 1
    soundfile.write(root / "a.wav", samples, rate, subtype="PCM_16")
    assert check_audio([use("a.wav")], root, hashes) == []
    row, field, why = only(check_audio([use("a.wav")], root, hashes, deep=True))
    assert (row, field) == (11, "sha256")
    assert "is not what the provenance states" in why
    # A file that the provenance does not name is not compared.
    assert check_audio([use("a.flac")], root, hashes, deep=True) == []


def test_provenance_gives_all_hashes(tmp_path: Path) -> None:
    manifest = tmp_path / "events.jsonl.gz"
    assert read_provenance(manifest) is None
    content = {"root": "set", "audio": {"a.wav": "a" * 64}, "files": {"a.txt": "b" * 64}, "counts": {"x": 1}}
    (tmp_path / "events.jsonl.gz.provenance.json").write_text(json.dumps(content))
    found = read_provenance(manifest)
    assert found == Provenance("set", {"a.wav": "a" * 64}, {"a.txt": "b" * 64})
    assert found is not None
    assert found.hashes == {"a.wav": "a" * 64, "a.txt": "b" * 64}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"audio": {', "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"audio": {"a.wav": "12"}}', "Expected `str` matching regex"),
        (b'{"audio": ["a.wav"]}', "Expected `object`"),
        (b'{"root": "\xff"}', "is no provenance file"),
    ],
)
def test_damaged_provenance_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "events.jsonl.provenance.json"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"events\.jsonl\.provenance\.json: is no provenance file: "
    ) as caught:
        read_provenance(tmp_path / "events.jsonl")
    assert why in str(caught.value)


def test_provenance_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl.provenance.json").mkdir()
    with pytest.raises(InputError, match="is not a regular file"):
        read_provenance(tmp_path / "events.jsonl")


def test_the_real_recordings_pass(shared: Path) -> None:
    folder = shared / "data" / "mdb"
    uses = [use(path.relative_to(folder).as_posix(), 19.0) for path in sorted(folder.rglob("*.flac"))]
    assert len(uses) == 11
    assert check_audio(uses, folder, None, deep=True) == []
    late = replace(uses[-1], last_onset_s=60.0)
    assert only(check_audio([late], folder, None))[1] == "onset_time"
