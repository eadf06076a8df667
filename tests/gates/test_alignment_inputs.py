"""Gate alignment: what it accepts and what it refuses, one sentence each."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from planted_sessions import RATE, bursts, write_manifest, write_session

from beatsight.cli.main import run
from beatsight.errors import InputError
from beatsight.gates.alignment import AlignmentReport, AlignmentSettings, alignment_gate

SECONDS = 8.0


@pytest.fixture(scope="module")
def hits() -> npt.NDArray[np.float64]:
    """Forty bursts in eight seconds."""
    return bursts(SECONDS, 40)


def judged(manifest: Path, **more: Any) -> AlignmentReport:
    return alignment_gate(AlignmentSettings(manifest=manifest, **more))


def refused(manifest: Path, **more: Any) -> str:
    """The one sentence."""
    with pytest.raises(InputError) as caught:
        judged(manifest, **more)
    text = str(caught.value)
    assert "\n" not in text and str(manifest) in text
    return text


def code(*arguments: object) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        run(["gate", "alignment", *map(str, arguments)])
    return caught.value.code


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty"),
        ("[]", "is not a JSON object"),
        ("{", "is not valid JSON"),
        ('{"mics": []}', "session_id: is missing"),
        ('{"session_id": "s"}', "mics: is missing"),
        ('{"session_id": "s", "mics": []}', "mics: names no microphone; delays need at least two"),
        ('{"session_id": "s", "mics": [{"name": "a", "path": "a.wav"}]}', r"names one microphone \('a'\)"),
        ('{"session_id": "s", "mics": [{"name": "a"}, {}]}', r"mics\[0\].path: is missing"),
        ('{"session_id": 3, "mics": []}', "session_id: Expected str, got int"),
        ('{"session_id": "s", "mics": [{"name": "a", "path": NaN}]}', r"mics\[0\].path: is nan"),
    ],
)
def test_manifests_refused(content: str, match: str, tmp_path: Path) -> None:
    manifest = tmp_path / "session.json"
    manifest.write_text(content)
    with pytest.raises(InputError, match=match):
        judged(manifest)
    assert code("--manifest", manifest) == 3


def test_names_and_files_stand_once(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    manifest = write_session(tmp_path, {"a": hits, "b": hits})
    manifest.write_text(
        json.dumps({"session_id": "s", "mics": [{"name": "a", "path": p} for p in ("a.wav", "b.wav")]})
    )
    assert refused(manifest).endswith("mics: 'a' stands twice")
    write_manifest(manifest, {"a": "a.wav", "b": "../" + tmp_path.name + "/a.wav"})
    assert "microphones 'a' and 'b' are the same file" in refused(manifest)


def test_unknown_keys_are_passed_over(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    manifest = write_session(tmp_path, {"a": hits, "b": hits})
    raw = json.loads(manifest.read_text())
    raw["notes"] = raw["mics"][0]["gain"] = "12 dB"
    manifest.write_text(json.dumps(raw))
    assert judged(manifest).passed


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "link/passwd", "a\0b"])
def test_audio_outside_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to("/etc")
    manifest = write_manifest(tmp_path / "in/session.json", {"ok": "a.wav", "bad one": path})
    text = refused(manifest)
    assert f"{manifest}: microphone 'bad one': " in text
    assert ("leaves" in text) != ("\0" in path)
    assert code("--manifest", manifest) == 3


def test_where_the_audio_may_lie(
    hits: npt.NDArray[np.float64], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_session(tmp_path / "sessions", {"a": hits, "b": hits})
    manifest = write_manifest(
        tmp_path / "manifests/s.json", {"a": "../sessions/a.wav", "b": str(tmp_path / "sessions/b.wav")}
    )
    assert "leaves" in refused(manifest)
    assert judged(manifest, audio_root=tmp_path / "sessions").passed
    assert "leaves" in refused(manifest, audio_root=tmp_path / "manifests")
    monkeypatch.chdir(tmp_path)
    assert judged(manifest).passed
    monkeypatch.chdir("/")
    assert "leaves" in refused(manifest)
    with pytest.raises(InputError, match="is not a folder"):
        judged(manifest, audio_root=tmp_path / "nowhere")


def test_the_old_sample_is_accepted_as_it_is(
    shared: Path, hits: npt.NDArray[np.float64], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shared / "data/peer-examples/examples/session_manifest_example.json"
    (tmp_path / "examples").mkdir()
    manifest = shutil.copy(source, tmp_path / "examples")
    names = ("snare_top", "kick_in", "overhead_l", "overhead_r")
    write_session(tmp_path / "sessions/session_001", {name: hits for name in names})
    monkeypatch.chdir(tmp_path)
    assert code("--manifest", os.path.relpath(manifest), "--strict") == 0


def test_bad_audio_is_one_sentence_with_the_microphone(hits: npt.NDArray[np.float64], tmp_path: Path) -> None:
    manifest = write_session(tmp_path, {"a": hits, "b": hits})
    whole = (tmp_path / "b.wav").read_bytes()
    where = f"{manifest}: microphone 'b': {tmp_path / 'b.wav'}: "
    (tmp_path / "b.wav").unlink()
    assert refused(manifest) == where + "no such audio file"
    (tmp_path / "b.wav").write_bytes(b"")
    assert refused(manifest) == where + "is an empty file, not audio"
    (tmp_path / "b.wav").write_text("hello")
    assert refused(manifest).startswith(where + "cannot be decoded as audio")
    (tmp_path / "b.wav").write_bytes(whole[: len(whole) // 2])
    assert refused(manifest).startswith(where + "is cut short")
    nan = hits.astype(np.float32)
    nan[1000] = np.nan
    soundfile.write(tmp_path / "b.wav", nan, RATE, "FLOAT")
    assert refused(manifest) == where + "sample 1000 (0.023 s) is not a finite number"
    # Resampling by such a header would take hours and fill the memory.
    soundfile.write(tmp_path / "b.wav", hits, 1)
    assert refused(manifest) == where + "its sample rate is 1 Hz, outside 8000 to 384000 Hz"
    assert code("--manifest", manifest) == 3
