"""The collect commands: what they print, what they leave behind, and their exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from beatsight.charts import AudioRef, Timing, build_chart, write_chart
from beatsight.cli.collect import app
from beatsight.dataset.store import open_dataset
from beatsight.errors import BeatSightError
from beatsight.sources import Collection

RATE = 44_100


class Done:
    """A finished command: exit code, stdout, and the one sentence of its error."""

    def __init__(self, *words: object) -> None:
        result = CliRunner().invoke(app, [str(word) for word in words])
        error = result.exception
        if error is not None and not isinstance(error, BeatSightError | SystemExit):
            raise error
        self.code = error.exit_code if isinstance(error, BeatSightError) else result.exit_code
        self.error = str(error) if isinstance(error, BeatSightError) else result.stderr
        self.out = result.stdout

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a song of four seconds whose name needs quoting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BEATSIGHT_TRAINING_DATA", raising=False)
    soundfile.write("ma chanson é.wav", 0.1 * np.random.default_rng(0).standard_normal(4 * RATE), RATE)
    return tmp_path


SONG = "ma chanson é.wav"


def write_bsm(name: str, times_s: list[float]) -> None:
    reference = AudioRef(filename=SONG, hash="sha256:" + "0" * 64, duration=4000, sample_rate=RATE)
    hits = [(time, "kick", 0.8) for time in times_s]
    chart = build_chart(
        hits, title="t", artist="a", audio=reference, timing=Timing(bpm=120.0), difficulty=1.0
    )
    write_chart(chart, Path(name))


def test_one_hit_in_the_default_folder_then_again() -> None:
    done = Done("add", SONG, "1.234", "kick", "--velocity", "0.5", "--session", "mon")
    assert (done.code, done.out) == (0, "Added 1 hit to training_data.\n")
    (event,) = Collection("training_data").events()
    assert (event.onset_time, event.session_id, event.components[0].velocity) == (1.234, "mon", 0.5)
    again = Done("add", SONG, "1.24", "bass drum", "--json")
    assert again.code == 0
    assert again.json == {
        "root": "training_data", "added": 0, "already_there": 1, "skipped": [], "left_out": [],
    }  # fmt: skip
    assert "1 hit already there (same audio and label, within 10 ms)" in Done("add", SONG, "1.23", "kick").out


def test_the_folder_by_option_and_by_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Done("add", SONG, "1", "kick", "--root", "by option")
    monkeypatch.setenv("BEATSIGHT_TRAINING_DATA", str(folder / "by environment"))
    Done("add", SONG, "2", "snare")
    assert Collection("by option").events()[0].labels == ("kick",)
    assert Collection("by environment").events()[0].labels == ("snare",)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["add", SONG, "-1.5", "kick"], 3, "time -1.5 s is before the start of the audio"),
        (["add", SONG, "nan", "kick"], 3, "time nan is not a finite number of seconds"),
        (["add", SONG, "4.5", "kick"], 3, "time 4.5 s is beyond the end of the audio (4.000 s)"),
        (["add", SONG, "1", "kcik"], 3, "unknown drum label 'kcik'; did you mean 'kick'?"),
        (["add", SONG, "1", "kick", "--velocity", "2"], 3, "velocity 2 is outside 0..1"),
        (["add", "absent.wav", "1", "kick"], 3, "absent.wav: no such audio file"),
        (["add", "no such kit"], 3, "no such kit: no such folder"),
        (["add", "--csv", "absent.csv"], 3, "absent.csv: cannot be read: No such file"),
        (["add", ".", SONG], 3, f"{SONG}: is not a folder"),
        (["add", SONG, "soon", "kick"], 2, "TIME 'soon' is not a number of seconds"),
        (["add", SONG, "1"], 2, "give AUDIO TIME LABEL, or folders"),
        (["add"], 2, "give AUDIO TIME LABEL, or folders"),
        (["add", SONG, "1", "kick", "--velocty", "1"], 2, "no such option: --velocty"),
        (["add", SONG, "1", "kick", "-x"], 2, "no such option: -x"),
        (["add", "--csv", "a.csv", SONG, "1", "kick"], 2, "give either --csv or a hit or folders"),
        (["add", "--csv", "a.csv", "--kit", "k"], 2, "are for one hit"),
        (["add", SONG, "1", "kick", "--skip-bad"], 2, "--skip-bad goes with --csv"),
        (["beatmap", "a.bsm"], 2, "a.bsm: has no partner; give pairs"),
        (["beatmap", "a.bsm", "absent.wav"], 3, "absent.wav: no such audio file"),
        (["beatmap", "a.xyz", SONG], 2, "a.xyz: is no chart file"),
        (["beatmap", "."], 3, "holds no .bsm files"),
        (["labels", "absent.txt", SONG], 3, "absent.txt: cannot be read"),
        (["labels", "--write", "out.txt", SONG], 3, "has no hits of this recording"),
        (["labels", "--write", "out.txt", SONG, SONG], 2, "--write takes one AUDIO"),
        (["export", "dataset"], 3, "training_data: holds no hits to export"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(folder: Path, words: list[str], code: int, why: str) -> None:
    done = Done(*words)
    assert done.code == code
    assert why in done.error and "\n" not in done.error
    assert sorted(path.name for path in folder.iterdir()) == [SONG]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.wav", b"", "is an empty file, not audio"),
        ("text.wav", b"not sound", "cannot be decoded as audio"),
    ],
)
def test_damaged_audio(name: str, content: bytes, why: str) -> None:
    Path(name).write_bytes(content)
    done = Done("add", name, "1", "kick")
    assert done.code == 3 and f"{name}: {why}" in done.error and "\n" not in done.error


def test_a_table_is_added_whole_or_with_the_bad_rows_listed() -> None:
    Path("hits.csv").write_text(f"audio,time,label\n{SONG},1,kick\n{SONG},9,kick\n", encoding="utf-8")
    done = Done("add", "--csv", "hits.csv")
    assert (done.code, done.out) == (3, "")
    assert done.error.startswith("hits.csv:3: time 9 s is beyond the end")
    assert done.error.endswith("nothing was added")
    done = Done("add", "--csv", "hits.csv", "--skip-bad", "--json")
    assert done.code == 3 and done.json["added"] == 1
    assert done.json["skipped"] == [done.error]


def test_kits_by_their_folders() -> None:
    decay = np.exp(-np.arange(RATE // 4) / 2000)
    for kit in ("kit one", "kit zwei ü"):
        for number, name in enumerate(("kick", "snare", "doorbell")):
            path = Path("kits", kit, f"{name}.wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            tone = np.sin(np.arange(len(decay)) * (0.1 + 0.2 * number + 0.05 * len(kit)))
            soundfile.write(path, 0.5 * decay * tone, RATE)
    done = Done("add", "kits/kit one", "kits/kit zwei ü")
    assert done.code == 0
    assert done.out.startswith("Added 4 hits to training_data.\nLeft out, each for its reason:\n")
    assert done.out.count("doorbell.wav") == 2
    assert {event.kit_id for event in Collection().events()} == {"kit one", "kit zwei ü"}
    assert Done("add", "kits", "--json").json["already_there"] == 4
    Path("kits/kit one/tom_low.wav").write_text("broken", encoding="utf-8")
    broken = Done("add", "kits")
    assert broken.code == 3 and "tom_low.wav: cannot be decoded" in broken.error
    assert Done("add", "kits", "--drummer", "ann").code == 2


def test_beatmaps_by_pairs_and_by_folder() -> None:
    write_bsm("one.bsm", [0.5, 1.0, 4.2])
    done = Done("beatmap", "one.bsm", SONG)
    assert done.code == 3
    assert done.out == "Added 2 hits to training_data.\n"
    assert done.error == "one.bsm: kick: time 4.2 s is beyond the end of the audio (4.000 s)"
    shutil.copy(SONG, "two.wav")
    write_bsm("two.bsm", [0.5, 2.0])
    Path("three.bsm").write_text("{}", encoding="utf-8")
    shutil.copy(SONG, "three.wav")
    done = Done("beatmap", ".")
    assert done.code == 3
    assert "Added 1 hit to" in done.out and "1 hit already there" in done.out
    assert done.error.startswith("2 were not added:\n  one.bsm: no recording of the same name")
    assert "three.bsm: " in done.error
    assert [event.onset_time for event in Collection().events()] == [0.5, 1.0, 2.0]


def test_several_pairs_are_added_in_one_command() -> None:
    for number in (1, 2):
        soundfile.write(f"s{number}.wav", np.full(RATE, 0.01 * number), RATE)
        write_bsm(f"s{number}.bsm", [0.5])
    done = Done("beatmap", "s1.bsm", "s1.wav", "s2.bsm", "s2.wav", "--drummer", "ann", "--json")
    assert (done.code, done.json["added"]) == (0, 2)
    assert [(e.session_id, e.drummer_id) for e in Collection().events()] == [("s1", "ann"), ("s2", "ann")]


def test_labels_in_and_out() -> None:
    Path("in.txt").write_text("1.5\t1.5\tkick+snare:0.6\n", encoding="utf-8")
    assert Done("labels", "in.txt", SONG).out == "Added 2 hits to training_data.\n"
    done = Done("labels", "--write", "out.txt", SONG)
    assert (done.code, done.out) == (0, "Wrote 1 moment to out.txt.\n")
    assert Path("out.txt").read_text(encoding="utf-8") == "1.500000\t1.500000\tkick+snare:0.6\n"
    assert Done("labels", "--write", "out.txt", SONG, "--json").json == {"written": "out.txt", "moments": 1}


def test_stats_for_people_and_machines() -> None:
    empty = Done("stats")
    assert empty.code == 0 and "training_data holds no hits yet" in empty.out
    Done("add", SONG, "1", "ride bell", "--kit", "k")
    Done("add", SONG, "2", "cowbell")
    done = Done("stats")
    assert done.code == 0
    (row,) = [line for line in done.out.splitlines() if "ride_bell" in line]
    assert [cell.strip() for cell in row.strip("│┃").split("│")] == ["ride_bell", "1", "100", "–", "99"]
    assert "Outside the 12 classes: cowbell 1." in done.out
    found = Done("stats", "--json").json
    assert (found["hits"], found["kits"], found["short"]["ride_bell"]) == (2, 1, 99)
    by_label = {part["label"]: part for part in found["components"]}
    assert by_label["kick"] == {
        "label": "kick", "count": 0, "minimum": 100, "recommended": 500,
        "short": 100, "short_of_recommended": 500,
    }  # fmt: skip


def test_export_gives_a_dataset_that_opens() -> None:
    for number, label in enumerate(("kick", "snare", "crash", "kick")):
        audio = f"take{number}.wav"
        soundfile.write(audio, 0.1 * np.random.default_rng(number).standard_normal(RATE), RATE)
        Done("add", audio, "0.25", label)
    done = Done("export", "out/dataset", "--val-fraction", "0.25", "--seed", "3")
    assert done.code == 0 and "4 moments" in done.out and "out/dataset" in done.out
    dataset = open_dataset("out/dataset", verify=True)
    assert len(dataset.moments) == 4
    assert sorted(session for part in dataset.metadata.sessions.values() for session in part) == [
        "take0", "take1", "take2", "take3",
    ]  # fmt: skip
    again = Done("export", "out/dataset", "--json")
    assert again.code == 0 and again.json["dataset"] == "out/dataset"
    assert sum(again.json["moments"].values()) == 4


@pytest.mark.parametrize("command", ["add", "beatmap", "labels", "stats", "export"])
def test_help_shows_an_example(command: str) -> None:
    done = Done(command, "--help")
    assert done.code == 0 and f"Example: beatsight collect {command}" in done.out
