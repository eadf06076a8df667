"""Reading and writing by the ending of a name; what other programs make of the files that are written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from chart_strategies import planted

from beatsight.charts import SUFFIXES, HitObject, Timing, TimingPoint, read_chart, write_chart
from beatsight.errors import InputError, UsageError

BEAT = [
    HitObject(round(beat * 461.5), label, 0.6)
    for beat in range(32)
    for label in ("hihat_closed", ("kick", "snare", "tom_low", "ride_bell")[beat % 4])
]


READ = [suffix for suffix in SUFFIXES if suffix != ".musicxml"]
SCORED = [".bsm", ".mid", ".midi", ".csv"]
EXACT = [suffix for suffix in READ if suffix != ".chart"]


@pytest.mark.parametrize("suffix", [*EXACT, ".BSM", ".Mid"])
def test_every_ending_is_written_and_read(tmp_path, suffix: str) -> None:
    path = tmp_path / f"new folder/a{suffix}"
    write_chart(planted(*BEAT), path)
    hits = read_chart(str(path)).hit_objects
    chart = planted(*BEAT)
    assert [(hit.time, hit.component) for hit in hits] == [
        (hit.time, hit.component) for hit in chart.hit_objects
    ]
    assert [hit.lane for hit in hits] == [hit.lane for hit in chart.hit_objects]


def test_what_a_format_changes_is_told(tmp_path) -> None:
    chart = planted(HitObject(0, "crash"), HitObject(0, "tom_low"), HitObject(160, "ride"))
    told = {suffix: write_chart(chart, tmp_path / f"a{suffix}") for suffix in SUFFIXES}
    assert {suffix: changes for suffix, changes in told.items() if changes} == {
        ".chart": {"hits moved to another pad": 1},
        ".musicxml": {"hits moved by more than 20 ms": 1},
    }  # fmt: skip


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path) -> None:
    known = r"\.bsm, \.mid, \.midi, \.csv, \.jams, \.chart"
    message = rf"a\.xml: is no chart file by its name; known endings: {known}"
    with pytest.raises(UsageError, match=f"{message}$"):
        read_chart(tmp_path / "a.xml")
    with pytest.raises(UsageError, match=rf"{message}, \.musicxml$"):
        write_chart(planted(), tmp_path / "a.xml")
    with pytest.raises(UsageError, match=r"a\.musicxml: is no chart file"):
        read_chart(tmp_path / "a.musicxml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fault", ["velocity", "tempo"])
def test_numbers_that_are_none_are_refused_and_the_old_file_stays(tmp_path, suffix: str, fault: str) -> None:
    chart = planted(
        HitObject(0, "kick"), timing=Timing(bpm=100.0, timing_points=[TimingPoint(time=9, bpm=90.0)])
    )
    assert chart.timing is not None
    if fault == "velocity":
        chart.hit_objects[0].velocity = float("nan")
    else:
        chart.timing.timing_points[0].bpm = float("inf")
    (tmp_path / f"a{suffix}").write_bytes(b"old")
    with pytest.raises(InputError, match=rf"a{suffix}: .*(nan|inf)"):
        write_chart(chart, tmp_path / f"a{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == b"old"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_chart_gives_the_same_bytes(tmp_path, suffix: str) -> None:
    for name in "ab":
        write_chart(planted(*BEAT), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", READ)
def test_a_missing_file_is_an_input_error(tmp_path, suffix: str) -> None:
    with pytest.raises(InputError, match=r"none\.\w+: cannot be read"):
        read_chart(tmp_path / f"none{suffix}")


def test_what_a_table_lacks_for_a_beatmap_is_named(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("0.5,kick\n")
    with pytest.raises(InputError, match=r"a\.bsm: audio: is missing"):
        write_chart(read_chart(tmp_path / "a.csv"), tmp_path / "a.bsm")


def test_the_public_scorer_reads_its_formats(tmp_path, shared) -> None:
    scorer = shared / "bench" / "score_transcription.py"
    if not scorer.is_file():
        pytest.skip("needs bench/score_transcription.py of the development data")
    reference = tmp_path / "reference"
    reference.mkdir()
    # MDB Drums labels for what BEAT plays, written without this package's help.
    names = {"hihat_closed": "CHH", "kick": "KD", "snare": "SD", "tom_low": "LFT", "ride_bell": "RDB"}
    for suffix in SCORED:
        lines = [f"{hit.time / 1000:.3f}\t{names[hit.component]}\n" for hit in BEAT]
        (reference / f"song{suffix[1:]}_subclass.txt").write_text("".join(lines))
        write_chart(planted(*BEAT), tmp_path / "predicted" / f"song{suffix[1:]}{suffix}")
    command = [sys.executable, scorer, "--ref", reference, "--pred", tmp_path / "predicted"]
    run = subprocess.run(
        [*command, "--tol", "0.001", "--vocab", "5", "--json", tmp_path / "out.json"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (result,) = json.loads((tmp_path / "out.json").read_text()).values()
    assert result["n_tracks"] == len(SCORED)
    assert result["sum"] == {"tp": 256, "fp": 0, "fn": 0, "p": 1.0, "r": 1.0, "f": 1.0}
