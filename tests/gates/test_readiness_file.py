"""``readiness.toml`` and flags: which settings each gate gets, and one sentence for every fault."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from beatsight.errors import InputError, UsageError
from beatsight.gates.boundary import BoundarySettings
from beatsight.gates.readiness import GATES
from beatsight.gates.readiness_file import check_outputs, read_jobs

OPENSET = '[openset]\nground_truth = "labels.jsonl"\npredictions = "predictions.jsonl"\n'
HEALTH = '[health]\nevents = ["e.jsonl"]\n'
BOUNDARY = '[boundary]\nground_truth = "labels.jsonl"\npredictions = "predictions.jsonl"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; the file lies in ``my config`` below it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my config").mkdir()
    return tmp_path


CONFIG = Path("my config/readiness.toml")


def write(text: str) -> Path:
    CONFIG.write_text(text, encoding="utf-8")
    return CONFIG


def test_a_section_becomes_the_settings_of_its_gate() -> None:
    [job] = read_jobs(write(BOUNDARY + 'threshold = 0.25\nreport = "../reports/b.json"\n'))
    assert (job.gate, job.name) == ("boundary", "boundary")
    assert job.settings == BoundarySettings(
        ground_truth=Path("my config/labels.jsonl"),
        predictions=Path("my config/predictions.jsonl"),
        threshold=0.25,
    )
    assert job.report == Path("my config/../reports/b.json")


def test_paths_start_at_the_folder_of_the_file_unless_they_are_absolute() -> None:
    [job] = read_jobs(write('[latency]\naudio = ["a.wav", "/data/b.wav"]\n'))
    assert job.settings.audio == [Path("my config/a.wav"), Path("/data/b.wav")]


def test_a_whole_number_is_a_number() -> None:
    [job] = read_jobs(write('[latency]\naudio = ["a.wav"]\nmax_rtf = 1\n'))
    assert job.settings.max_rtf == 1.0


def test_sessions_are_told_apart_by_their_manifests() -> None:
    text = '[[alignment]]\nmanifest = "{}"\n[[alignment]]\nmanifest = "{}"\n'
    names = [job.name for job in read_jobs(write(text.format("s/one.json", "s/two.json")))]
    assert names == ["alignment: one", "alignment: two"]
    names = [job.name for job in read_jobs(write(text.format("a/s.json", "b/s.json")))]
    assert names == ["alignment: my config/a/s.json", "alignment: my config/b/s.json"]
    [single] = read_jobs(write('[alignment]\nmanifest = "s/one.json"\n'))
    assert single.name == "alignment"


def test_a_flag_replaces_its_key_only() -> None:
    config = write(BOUNDARY + 'threshold = 0.25\nreport = "b.json"\n')
    [job] = read_jobs(config, {"boundary": [{"predictions": Path("new.jsonl")}], "health": []})
    assert job.settings.predictions == Path("new.jsonl")
    assert job.settings.ground_truth == Path("my config/labels.jsonl")
    assert (job.settings.threshold, job.report) == (0.25, Path("my config/b.json"))
    jobs = read_jobs(config, {"health": [{"events": [Path("e.jsonl")]}]})
    assert [job.gate for job in jobs] == ["health", "boundary"]


def test_alignment_flags_name_sessions_that_take_the_other_keys() -> None:
    config = write('[alignment]\nmanifest = "old.json"\nmax_delay_ms = 0.1\nreport = "old-report.json"\n')
    flags = {
        "alignment": [{"manifest": Path("a.json"), "report": Path("ra.json")}, {"manifest": Path("b.json")}]
    }
    jobs = read_jobs(config, flags)
    assert [(job.settings.manifest, job.settings.max_delay_ms, job.report) for job in jobs] == [
        (Path("a.json"), 0.1, Path("ra.json")),
        (Path("b.json"), 0.1, None),
    ]
    config = write('[[alignment]]\nmanifest = "a.json"\n[[alignment]]\nmanifest = "b.json"\n')
    with pytest.raises(UsageError, match=r"the file has 2 \[\[alignment\]\] sections, so no alignment flag"):
        read_jobs(config, flags)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x =", "is not valid TOML: "),
        ("strict = true", "strict: stands outside of any section"),
        ("[boundray]", "unknown section [boundray]; known: alignment, health, boundary,"),
        ("[[boundary]]", "[[boundary]]: only alignment may be given several times; write [boundary]"),
        ("alignment = [1]", "alignment: stands outside of any section"),
        ("[boundary]", "[boundary]: ground_truth: is missing"),
        (BOUNDARY + "threshhold = 0.5", "[boundary]: unknown key 'threshhold'; known: ground_truth, "),
        (BOUNDARY + 'threshold = "high"', "[boundary]: threshold: must be a number, not a text"),
        (BOUNDARY + "threshold = true", "[boundary]: threshold: must be a number, not true or false"),
        (BOUNDARY + "threshold = nan", "[boundary]: threshold: nan is not a finite number"),
        (BOUNDARY + "threshold = 2.0", "[boundary]: threshold must be above 0 and at most 1, got 2"),
        (BOUNDARY + "thresholds_file = 3", "[boundary]: thresholds_file: must be a path, in quotes"),
        (BOUNDARY + 'thresholds_file = " "', "[boundary]: thresholds_file: is no path"),
        (BOUNDARY + "report = 3", "[boundary]: report: must be a path, in quotes"),
        (BOUNDARY + 'report = "b.html"', "[boundary]: report: my config/b.html is the JSON report, "),
        ('[latency]\naudio = "a.wav"', "[latency]: audio: must be a list, [\"…\"], not a text"),
        (OPENSET + 'score = "maxprob"', "[openset]: score: 'maxprob' is none of max_probability, "),
        (HEALTH + 'isolate = ["drumer"]', "[health]: isolate[0]: 'drumer' is none of drummer, kit, "),
        ("[latency]\naudio = [1]", "[latency]: audio[0]: must be a path, in quotes"),
        ("[latency]\naudio = []", "[latency]: audio: at least one song is needed"),
        ('[latency]\naudio = ["a"]\nmax_rtf = inf', "[latency]: max_rtf: inf is not a finite number"),
    ],
)  # fmt: skip
def test_faults_of_the_file(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read_jobs(write(text))
    assert str(error.value).startswith(f"my config/readiness.toml: {message}")
    assert "\n" not in str(error.value)


def test_files_that_are_none() -> None:
    with pytest.raises(InputError, match=r"gone\.toml: cannot be read: No such file"):
        read_jobs("gone.toml")
    CONFIG.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"readiness\.toml: is not UTF-8 text"):
        read_jobs(CONFIG)
    with pytest.raises(InputError, match=r"readiness\.toml: is not usable TOML: it is nested too deeply$"):
        read_jobs(write("a = " + "[" * 5000))


@pytest.mark.parametrize("text", ["", "# [boundary]\n", "alignment = []\n"])
def test_nothing_configured_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"readiness\.toml: holds no section, so nothing can be ready"):
        read_jobs(write(text))
    with pytest.raises(UsageError, match="no gate is configured, so nothing can be ready"):
        read_jobs(None, {"health": []})


def test_faults_of_flags_name_no_file() -> None:
    with pytest.raises(UsageError) as error:
        read_jobs(None, {"boundary": [{"ground_truth": Path("labels.jsonl")}]})
    assert str(error.value) == "boundary: predictions: is missing"


def test_no_report_takes_the_place_of_another_file() -> None:
    jobs = read_jobs(write(BOUNDARY + 'report = "b.json"\n'))
    check_outputs(jobs, [Path("all.json"), Path("all.html")])
    with pytest.raises(UsageError, match=r"my config/b\.html: two reports would be written to this file"):
        check_outputs(jobs, [Path("my config/b.html")])
    with pytest.raises(UsageError, match=r"b\.json: two reports would be written to this file"):
        check_outputs(jobs, [Path("my config/../my config/b.json")])
    with pytest.raises(
        UsageError, match=r"labels\.jsonl: is read by boundary \(ground_truth\), so no report"
    ):
        check_outputs(jobs, [Path("my config/labels.jsonl")])
    with pytest.raises(
        UsageError, match=r"readiness\.toml: is the configuration, so no report may replace it"
    ):
        check_outputs(jobs, [Path("my config/readiness.toml")], CONFIG)
    jobs = read_jobs(write('[latency]\naudio = ["x.wav", "a.wav"]\nreport = "a.wav"\n'))
    with pytest.raises(
        UsageError, match=r"a\.wav: is read by latency \(audio\), so no report may replace it"
    ):
        check_outputs(jobs, [])


def test_what_regression_compares_may_be_made_by_the_same_run() -> None:
    text = (
        '[health]\nevents = ["e.jsonl"]\nreport = "h.json"\n[regression]\nbaseline = "{}"\ncandidate = "{}"\n'
    )
    check_outputs(read_jobs(write(text.format("old.json", "h.json"))), [])
    with pytest.raises(UsageError, match=r"h\.json: is read by regression \(baseline\), so no report"):
        check_outputs(read_jobs(write(text.format("h.json", "new.json"))), [])
    alone = '[regression]\nbaseline = "old.json"\ncandidate = "new.json"\nreport = "new.json"\n'
    with pytest.raises(UsageError, match=r"new\.json: is read by regression \(candidate\), so no report"):
        check_outputs(read_jobs(write(alone)), [])
    with pytest.raises(UsageError, match=r"h\.json: is read by regression \(candidate\), so no report"):
        check_outputs(read_jobs(write(alone.replace("new", "h", 1))), [Path("my config/h.json")])


RECIPE = (Path(__file__).resolve().parents[2] / "recipes" / "readiness.toml").read_text(encoding="utf-8")
WHOLE = re.sub(r"^# (\w+ = )", r"\1", RECIPE, flags=re.MULTILINE)


def test_the_recipe_holds_every_section_and_key() -> None:
    recipe = tomllib.loads(WHOLE)
    assert list(recipe) == list(GATES)
    for name, gate in GATES.items():
        assert sorted(recipe[name]) == sorted([*gate.settings.__struct_fields__, "report"]), name


def test_the_recipe_holds_the_defaults_and_leaves_out_what_is_off() -> None:
    recipe = tomllib.loads(RECIPE)
    for name, gate in GATES.items():
        for field in msgspec.structs.fields(gate.settings):
            default = field.default
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if field.required:
                assert field.name in recipe[name], f"{name}: {field.name}"
            elif default is None:
                assert field.name not in recipe[name], f"{name}: {field.name} is off by default"
            else:
                assert recipe[name][field.name] == default, f"{name}: {field.name}"


# Of the two kinds of baseline only one may be given.
ONE_BASELINE = re.sub("^baseline_predictions.*\n", "", WHOLE, flags=re.MULTILINE)


@pytest.mark.parametrize("text", [RECIPE, ONE_BASELINE], ids=["as it is", "with every example"])
def test_the_recipe_can_be_read(text: str) -> None:
    jobs = read_jobs(write(text))
    assert [job.name for job in jobs] == list(GATES)
    check_outputs(jobs, [Path("my config/reports/readiness.json")])
