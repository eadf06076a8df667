"""``beatsight manifest`` merge, openness, split, convert, verify and near-duplicates, as one meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from beatsight.cli.main import run

RATE = 22_050


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def called(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            run(["manifest", *words])
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    return called


def event(number: int, **changes: Any) -> dict[str, Any]:
    base = {"sample_id": f"e{number}", "session_id": f"s{number % 5}", "onset_time": number / 10}
    return base | {"components": [{"label": "kick"}]} | changes


def write(name: str, *rows: dict[str, Any]) -> Path:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Path(name)


def write_noise(name: str, seed: int, gain: float = 0.2) -> None:
    Path(name).parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    hits = np.zeros(8 * RATE)
    for at in np.sort(rng.uniform(0, 7.5, 30)):
        start = round(at * RATE)
        hits[start : start + 4000] += rng.standard_normal(4000) * np.exp(-np.arange(4000) / 600)
    soundfile.write(name, np.clip(gain * hits, -1, 1), RATE, subtype="FLOAT")


class TestMerge:
    def test_answer(self, call: Any) -> None:
        write("a.jsonl", event(1), event(2))
        write("b.jsonl", event(2), event(3))
        code, out, err = call(
            "merge", "--input", "a.jsonl", "--input", "b.jsonl", "--output", "new/all.jsonl"
        )
        assert (code, err) == (0, "")
        assert out.splitlines() == [
            "a.jsonl: 2 events",
            "b.jsonl: 2 events",
            "new/all.jsonl: 3 events; 1 duplicate dropped, 0 conflicts.",
        ]
        assert len(Path("new/all.jsonl").read_text().splitlines()) == 3

    def test_conflicts_are_named_and_make_the_exit_code_3(self, call: Any) -> None:
        write("a.jsonl", event(1), event(2))
        write("b.jsonl", event(3), event(1, notes="other"))
        words = ("merge", "-i", "a.jsonl", "-i", "b.jsonl", "-o", "all.jsonl")
        code, out, err = call(*words, "--conflicts", "left.jsonl", "--json")
        assert code == 3
        first, second = err.splitlines()
        assert first == "b.jsonl:2: sample_id 'e1' differs from a.jsonl:1 in notes"
        assert second.startswith("beatsight: all.jsonl: 1 row") and "left.jsonl" in second
        assert second.endswith("choose with --on-conflict")
        assert json.loads(out) == {
            "output": "all.jsonl", "inputs": {"a.jsonl": 2, "b.jsonl": 2}, "written": 3, "duplicates": 0,
            "conflicts": 1, "left_out": 1,
            "listed": [{"sample_id": "e1", "kept": "a.jsonl:1", "other": "b.jsonl:2", "keys": ["notes"]}],
        }  # fmt: skip
        assert json.loads(Path("left.jsonl").read_text())["notes"] == "other"
        assert call(*words, "--on-conflict", "last")[0] == 0
        assert json.loads(Path("all.jsonl").read_text().splitlines()[-1])["notes"] == "other"
        assert call(*words, "--on-conflict", "both")[0] == 0
        assert len(Path("all.jsonl").read_text().splitlines()) == 4
        code, out, err = call(*words, "--on-conflict", "refuse")
        assert (code, out) == (3, "")
        assert err.startswith("beatsight: b.jsonl:2: sample_id 'e1' stands in a.jsonl:1 with other notes; ")
        assert err.endswith(" nothing was written\n")

    @pytest.mark.parametrize(
        ("words", "code", "why"),
        [
            (
                ["--on-conflict", "best"],
                2,
                "--on-conflict 'best' is unknown; known: first, last, both, refuse",
            ),
            (["-i", "a.jsonl"], 2, "a.jsonl: is given twice"),
            (
                ["--conflicts", "a.jsonl"],
                2,
                "a.jsonl: is the manifest itself, which the report would replace",
            ),
            (["--conflicts", "x.jsonl"], 2, "x.jsonl: cannot take both the merged rows and those left out"),
            (["-i", "none.jsonl"], 3, "none.jsonl: cannot be read: No such file or directory"),
            (["-i", "empty.jsonl"], 3, "empty.jsonl: holds no events"),
            (["-i", "."], 3, ".: is a folder, not a file of events"),
        ],
    )
    def test_refusals(self, call: Any, words: list[str], code: int, why: str) -> None:
        write("a.jsonl", event(1))
        write("empty.jsonl")
        assert call("merge", "-i", "a.jsonl", "-o", "x.jsonl", *words) == (code, "", f"beatsight: {why}\n")
        assert not Path("x.jsonl").exists()


class TestConvert:
    def test_there_and_back(self, call: Any) -> None:
        rows = [event(n, mine={"ü": n}) for n in range(5)]
        write("a.jsonl", *rows)
        assert call("convert", "a.jsonl", "a.parquet") == (0, "a.parquet: 5 events.\n", "")
        code, out, _ = call("convert", "a.parquet", "b.jsonl", "--json")
        assert (code, json.loads(out)) == (0, {"events": 5, "output": "b.jsonl"})
        assert [json.loads(line) for line in Path("b.jsonl").read_text().splitlines()] == rows

    def test_refusals(self, call: Any) -> None:
        write("a.jsonl", event(1), event(2, onset_time=-1))
        assert call("convert", "a.jsonl", "b.jsonl") == (
            3, "", "beatsight: a.jsonl:2: onset_time: Expected float >= 0.0\n",
        )  # fmt: skip
        code, _, err = call("convert", "a.jsonl", "b.xlsx")
        assert (code, err) == (
            2, "beatsight: b.xlsx: its name must end in .jsonl, .jsonl.gz, .jsonl.zst or .parquet\n",
        )  # fmt: skip


class TestOpenness:
    rows = (
        event(
            1,
            device_vendor="Roland",
            device_model="TD-50",
            components=[{"label": "hihat_open", "openness_raw": 127}],
        ),
        event(
            2,
            device_vendor="No",
            device_model="Such [bold]",
            components=[{"label": "kick", "openness_raw": 1}],
        ),
        event(3, components=[{"label": "kick", "openness_raw": 1}]),
        event(4),
    )

    def test_dry_run_then_in_place(self, call: Any) -> None:
        write("a.jsonl", *self.rows)
        before = Path("a.jsonl").read_bytes()
        code, out, err = call("openness", "--events", "a.jsonl", "--dry-run")
        assert code == 0 and Path("a.jsonl").read_bytes() == before
        assert re.search(r"^roland td-50 +roland_td50_cc4_v1 +1 +1$", out, re.MULTILINE)
        assert re.search(r"^No Such \[bold\] +none +1 +-$", out, re.MULTILINE)
        assert out.splitlines()[-1] == "Would update 1 of 4 events (1 hit)."
        first, second = err.splitlines()
        assert first.startswith("no curve for No Such [bold]: 1 event with raw values stayed as they were")
        assert second.startswith("1 event with raw values name no device (device_vendor, device_model)")
        code, out, _ = call("openness", "--events", "a.jsonl", "--output", "a.jsonl", "--json")
        assert code == 0
        assert json.loads(out) == {
            "events": 4, "updated_events": 1, "updated_components": 1,
            "devices": {"roland td-50": {"curve_id": "roland_td50_cc4_v1", "events": 1, "components": 1}},
            "unknown_devices": {"No Such [bold]": 1}, "without_device": 1, "output": "a.jsonl",
        }  # fmt: skip
        assert (
            json.loads(Path("a.jsonl").read_text().splitlines()[0])["openness_curve_id"]
            == "roland_td50_cc4_v1"
        )

    def test_refusals(self, call: Any) -> None:
        write("a.jsonl", *self.rows)
        assert call("openness", "--events", "a.jsonl") == (
            2, "", "beatsight: --output is missing (or --dry-run, to see what would change)\n",
        )  # fmt: skip
        code, _, err = call("openness", "--events", "a.jsonl", "--dry-run", "--curves", "a.jsonl")
        assert code == 3 and err.startswith("beatsight: a.jsonl: is not a file of openness curves: ")


class TestSplit:
    def rows(self) -> list[dict[str, Any]]:
        label = ("kick", "snare")
        return [
            event(
                n,
                session_id=f"s{n % 20}",
                drummer_id=f"d{n % 10}",
                kit_id="one",
                components=[{"label": label[n % 2]}],
            )
            for n in range(200)
        ]

    def test_keys_that_bind_are_chosen(self, call: Any) -> None:
        write("a.jsonl", *self.rows())
        code, out, err = call("split", "a.jsonl", "-o", "split.json")
        assert code == 0 and out.splitlines()[-1] == "split.json: 20 sessions in 1 groups."
        assert "all 20 sessions are one group: nothing can be held out" in err
        for words, groups in (
            (["drummer"], 10),
            (["drummer", "room"], 10),
            (["session"], 20),
            (["kit", "session"], 1),
        ):
            options = [option for word in words for option in ("--together", word)]
            code, out, _ = call("split", "a.jsonl", "-o", "split.json", "--json", *options)
            answer = json.loads(out)
            assert (code, answer["groups"], answer["manifests"]) == (0, groups, {})
            assert json.loads(Path("split.json").read_text())["sessions"] == answer["sessions"]

    def test_shares_and_manifests(self, call: Any) -> None:
        write("a.jsonl", *self.rows())
        words = ["split", "a.jsonl", "-o", "split.json", "--together", "drummer", "--manifests", "parts"]
        words += ["--format", "jsonl.gz", "--share", "train=0.5", "--share", "dev=0.5", "--seed", "3"]
        code, out, err = call(*words)
        assert (code, err) == (0, "")
        assert out.splitlines()[-3:] == [
            "split.json: 20 sessions in 10 groups.",
            "parts/train.jsonl.gz: 100 events.",
            "parts/dev.jsonl.gz: 100 events.",
        ]
        assert re.search(r"^kick +(40 \(40|60 \(60)\.0%\) +(40 \(40|60 \(60)\.0%\)$", out, re.MULTILINE)
        assert (
            call("merge", "-i", "parts/train.jsonl.gz", "-i", "parts/dev.jsonl.gz", "-o", "b.jsonl")[0] == 0
        )
        lines = Path("b.jsonl").read_text().splitlines()
        assert sorted(lines) == sorted(Path("a.jsonl").read_text().splitlines())

    @pytest.mark.parametrize(
        ("words", "code", "why"),
        [
            (["--together", "moon"], 2, "--together 'moon' is unknown; known: drummer, kit, room, session"),
            (["--share", "train"], 2, "--share 'train' is not NAME=NUMBER, such as train=0.8"),
            (["--share", "a=.5", "--share", "a=.5"], 2, "--share names one split twice"),
            (["--share", "a=.5"], 3, "shares of the splits must add up to 1, not 0.5"),
            (["--share", "../a=1"], 2, "'../a' cannot be the name of a split"),
            (["--output", "a.jsonl"], 2, "a.jsonl: is the manifest itself, which the report would replace"),
            (["--manifests", "x", "--format", "csv"], 2, ".csv: unknown format; known: .jsonl, .jsonl.gz, "
             ".jsonl.zst, .parquet"),
            (["a.jsonl"], 2, "a.jsonl: is given twice"),
        ],
    )  # fmt: skip
    def test_refusals(self, call: Any, words: list[str], code: int, why: str) -> None:
        write("a.jsonl", *self.rows())
        assert call("split", "a.jsonl", "-o", "split.json", *words) == (code, "", f"beatsight: {why}\n")
        assert [path.name for path in Path().iterdir()] == ["a.jsonl"]


class TestAudio:
    def test_verify(self, call: Any) -> None:
        write_noise("audio/a.wav", 1)
        write("good.jsonl", event(1, audio_path="audio/a.wav"), event(2))
        code, out, err = call("verify", "good.jsonl")
        assert (code, out) == (0, "good.jsonl: 1 recording, 0 problems.\n")
        assert err.startswith("1 event without an audio_path")
        write("bad.jsonl", event(1, audio_path="audio/a.wav"), event(90, audio_path="audio/a.wav"))
        code, out, err = call("verify", "bad.jsonl", "--deep")
        assert code == 3 and err.splitlines()[-1] == "beatsight: bad.jsonl: 1 problem with its audio"
        assert out.splitlines() == [
            "bad.jsonl:row 2: audio/a.wav: onset_time: 9 s is not before the end of the audio (8.000 s)",
            "bad.jsonl: 1 recording, 1 problem.",
        ]
        code, out, _ = call("verify", "bad.jsonl", "--json")
        answer = json.loads(out)
        assert (code, answer["recordings"], answer["without_audio"]) == (3, 1, 0)
        assert [(one["row"], one["field"]) for one in answer["problems"]] == [(2, "onset_time")]
        write("none.jsonl", event(1))
        assert call("verify", "none.jsonl") == (
            3,
            "",
            "beatsight: none.jsonl: no event names an audio file\n",
        )

    def test_near_duplicates(self, call: Any) -> None:
        pytest.importorskip("sklearn")
        for name, seed, gain in (("a", 1, 0.2), ("copy", 1, 0.1), ("b", 2, 0.2)):
            write_noise(f"audio/{name}.wav", seed, gain)
        rows = [
            event(n, session_id=n_, audio_path=f"audio/{n_}.wav") for n, n_ in enumerate(["a", "copy", "b"])
        ]
        write("e.jsonl", *rows, event(9, session_id="a"))
        Path("split.json").write_text(json.dumps({"sessions": {"a": "train", "copy": "test", "b": "train"}}))
        words = ("near-duplicates", "e.jsonl", "--split", "split.json")
        code, out, err = call(*words, "-o", "pairs.json")
        assert code == 0 and err.startswith("1 event without an audio_path")
        assert re.fullmatch(
            r"audio/a\.wav = audio/copy\.wav: same audio, similarity \S+, \+0\.00 s, -6\.0 dB; IN TWO SPLITS"
            r"\n"
            r"3 recordings compared: 1 pair, 1 of them in two splits\.\n",
            out,
        )
        code, out, _ = call(*words, "--strict", "--json")
        assert code == 1 and json.loads(out) == json.loads(Path("pairs.json").read_text())
        assert json.loads(out)["without_audio"] == 1
        Path("audio/b.wav").unlink()
        code, _, err = call("near-duplicates", "e.jsonl")
        assert code == 3 and "audio/b.wav: not compared: " in err
        assert err.endswith("beatsight: 1 recording could not be compared\n")

    def test_near_duplicates_refusals(self, call: Any) -> None:
        pytest.importorskip("sklearn")
        write_noise("audio/a.wav", 1)
        write("e.jsonl", event(1, session_id="a", audio_path="audio/a.wav"))
        Path("split.json").write_text('{"sessions": {"b": "train"}}')
        assert call("near-duplicates", "e.jsonl", "--strict")[::2] == (
            2,
            "beatsight: --strict needs --split\n",
        )
        assert call("near-duplicates", "e.jsonl", "--split", "split.json")[::2] == (
            3, "beatsight: the split has no word of 1 of the sessions, such as 'a'\n",
        )  # fmt: skip
        assert call("near-duplicates", "e.jsonl", "-o", "e.jsonl")[::2] == (
            2, "beatsight: e.jsonl: is the manifest itself, which the report would replace\n",
        )  # fmt: skip


@pytest.mark.parametrize("command", ["merge", "openness", "split", "verify", "near-duplicates", "convert"])
def test_help_ends_in_an_example(call: Any, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0 and f"Example: beatsight manifest {command} " in " ".join(out.split())
