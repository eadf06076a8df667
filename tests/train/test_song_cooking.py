"""A recipe carried out: it ends in a model, goes on where it was stopped, and does nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from song_recipes import RECIPE, data, recipe_file
from training_children import Children

from beatsight.cli.main import run
from beatsight.errors import InputError
from beatsight.models.song_model import read_song_model
from beatsight.train.songs import cooking
from beatsight.train.songs.cooking import Cooked, cook
from beatsight.train.songs.recipe import read_recipe

LISTENING = """
[repetition]
up = 0.8

[ostinato]
groups = ["HH"]

[presence]
down = 2.5
"""
# More stages: one that listens, and the mean of both.
MORE = """
[[stages]]
name = "more"
sets = ["train"]
start = "only"
model = "listening"
training = { steps = 2, every = 1, warmup = 1, lr = 0.1 }
mix = { frames = 200, batch = 1 }
network = { stem = [4, 4], width = 8, dilations = [1, 2], lookahead = 3 }

[[stages]]
name = "mean"
mean_of = ["only", "more"]
"""
TEXT = RECIPE.replace("\n[sets.train]", LISTENING + "\n[sets.train]") + MORE
EVERYTHING = ["train", "validation", "only", "tiny.safetensors", "more", "listening.safetensors"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data(tmp_path_factory.mktemp("cooking") / "data")


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cooked, list[str]]:
    """The output of a run that nobody stopped, what came of it, and what was said."""
    folder, said = tmp_path_factory.mktemp("whole"), list[str]()
    cooked = cook(read_recipe(recipe_file(folder, TEXT)), root, folder / "out", workers=1, note=said.append)
    return folder / "out", cooked, said


def files(folder: Path) -> dict[str, bytes]:
    """What a run leaves, but for states (whose bytes torch does not promise)."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pth"
    }


def test_a_recipe_ends_in_model_files(whole: tuple[Path, Cooked, list[str]]) -> None:
    output, cooked, said = whole
    assert cooked.made == EVERYTHING
    model = read_song_model(output / "tiny.safetensors")
    assert model.network.width == 8 and model.settings.training["recipe"]["title"] == "tiny"
    assert cooked.models == msgspec.json.decode((output / "validation.json").read_bytes())
    assert cooked.models["tiny"]["thresholds"] == model.settings.thresholds
    assert said[0] == "train: renders 2 of 2 shards of songs" and "only: begins" in said
    assert any(line.startswith("more step 1 of 2  onsets 0.") for line in said)
    only, more, mean = (
        torch.load(output / name / "average.pth", weights_only=True)["weights"]["leave.weight"]
        for name in ("only", "more", "mean")
    )
    assert not torch.equal(only, more)
    assert torch.allclose(mean, (only + more) / 2)


def test_what_the_song_tells_is_not_for_a_model_that_listens(whole: tuple[Path, Cooked, list[str]]) -> None:
    ahead = read_song_model(whole[0] / "tiny.safetensors").settings
    assert ahead.repetition and ahead.repetition.up == 0.8
    assert ahead.ostinato and ahead.ostinato.groups == ("HH",)
    assert ahead.presence and ahead.presence.down == 2.5
    assert set(ahead.listening_thresholds) == set(ahead.groups)
    listening = read_song_model(whole[0] / "listening.safetensors").settings
    assert listening.network["lookahead"] == 3
    assert listening.repetition is listening.ostinato is listening.presence is None
    assert listening.listening_thresholds == {} and set(listening.thresholds) == set(listening.groups)


def test_a_finished_recipe_is_not_done_again(
    whole: tuple[Path, Cooked, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole[0].rglob("*.safetensors")}
    said: list[str] = []
    monkeypatch.setattr(cooking, "fitted", None)
    # The data are no longer needed.
    again = cook(read_recipe(recipe_file(tmp_path, TEXT)), tmp_path / "gone", whole[0], note=said.append)
    assert again == Cooked(whole[1].models, []) and said == []
    assert before == {path: path.stat().st_mtime_ns for path in whole[0].rglob("*.safetensors")}


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", ["Rendering train 1", "Rendering validation 1", "Training more 1"])
def test_a_run_that_is_stopped_goes_on_to_the_same_files(
    whole: tuple[Path, Cooked, list[str]], root: Path, tmp_path: Path, at: str
) -> None:
    def stop(text: str, done: int, _: int) -> None:
        if f"{text} {done}" == at:
            raise Killed

    recipe, output, said = read_recipe(recipe_file(tmp_path, TEXT)), tmp_path / "out", list[str]()
    with pytest.raises(Killed):
        cook(recipe, root, output, workers=1, progress=stop)
    there = {path: path.stat().st_mtime_ns for path in output.rglob("*.npy")}
    made = cook(recipe, root, output, workers=1, note=said.append).made
    assert (
        made
        == {
            "Rendering train 1": EVERYTHING,
            "Rendering validation 1": EVERYTHING[1:],
            "Training more 1": EVERYTHING[4:],
        }[at]
    )
    assert ("more: goes on after step 1 of 2" in said) == at.startswith("Training")
    assert there and all(path.stat().st_mtime_ns == time for path, time in there.items())
    assert files(output) == files(whole[0])


def test_only_what_has_changed_is_made_again(
    whole: tuple[Path, Cooked, list[str]], root: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    shutil.copytree(whole[0], output)
    (output / "tiny.safetensors").unlink()
    assert cook(read_recipe(recipe_file(tmp_path, TEXT)), root, output).made == ["tiny.safetensors"]
    assert files(output) == files(whole[0])
    # Other weights under the same name are not taken for the recipe's.
    shutil.copy(output / "listening.safetensors", output / "tiny.safetensors")
    assert cook(read_recipe(recipe_file(tmp_path, TEXT)), root, output).made == ["tiny.safetensors"]
    raised = read_recipe(
        recipe_file(tmp_path, TEXT.replace("[repetition]", "threshold_raise = 0.05\n[repetition]"))
    )
    assert cook(raised, root, output).made == ["tiny.safetensors", "listening.safetensors"]
    before, after = (read_song_model(f / "tiny.safetensors").settings.thresholds for f in (whole[0], output))
    assert all(after[group] >= before[group] for group in before) and after != before


def test_songs_and_stages_of_other_settings_are_refused(
    whole: tuple[Path, Cooked, list[str]], root: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    shutil.copytree(whole[0], output)
    other = TEXT.replace("seed = 1\n", "seed = 3\nbus = { hall_share = 1.0 }\n").replace("= 4.0", "= 5.0")
    with pytest.raises(
        InputError, match="songs of set 'train' were rendered with other song_seconds, seed, bus;"
    ):
        cook(read_recipe(recipe_file(tmp_path, other)), root, output)
    with pytest.raises(InputError, match="belongs to a run with other settings"):
        cook(read_recipe(recipe_file(tmp_path, TEXT.replace("lr = 0.1", "lr = 0.2"))), root, output)
    # More songs of the same kind are no others.
    more = TEXT.replace("drums = 1\n", "drums = 2\n", 1)
    assert cook(read_recipe(recipe_file(tmp_path, more)), root, output, workers=1).made[0] == "train"
    (output / "shards" / "train" / "set.json").write_text("{")
    with pytest.raises(InputError, match=r"set\.json: does not say how the songs were rendered"):
        cook(read_recipe(recipe_file(tmp_path, more)), root, output)


def test_what_is_missing_is_told_before_anything_is_rendered(root: Path, tmp_path: Path) -> None:
    late = TEXT.replace("[sets.validation]", '[sets.validation]\ninstruments = ["horns"]')
    with pytest.raises(InputError, match=r"set 'validation': .*horns: no such file or folder"):
        cook(read_recipe(recipe_file(tmp_path, late)), root, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_did(
    whole: tuple[Path, Cooked, list[str]], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    shutil.copytree(whole[0], output)
    words = ["train-songs", str(recipe_file(tmp_path, TEXT)), "--data", str(root), "-o", str(output)]
    with pytest.raises(SystemExit, match=r"^0$"):
        run(words)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"Nothing was left to do: {output} holds all that the recipe makes."
    assert [line.split(":")[0] for line in rest] == [
        f"{output}/tiny.safetensors",
        f"{output}/listening.safetensors",
    ]
    (output / "listening.safetensors").unlink()
    with pytest.raises(SystemExit, match=r"^0$"):
        run([*words, "--json"])
    out, err = capsys.readouterr()
    answer = msgspec.json.decode(out)
    assert answer["made"] == ["listening.safetensors"] and set(answer["models"]) == {"tiny", "listening"}
    assert "listening.safetensors: fits thresholds" in err


# Rendering takes longer than processes wait for each other in a group.
SLOW = (
    "import datetime, time\nimport beatsight.train.processes as processes\n"
    "processes._PATIENCE = datetime.timedelta(seconds=10)\n"
    "import beatsight.train.songs.cooking as cooking\nreal = cooking.render_shards\n"
    "def slow(*a, **k):\n    time.sleep(12)\n    return real(*a, **k)\ncooking.render_shards = slow"
)
FAILS = (
    "import beatsight.train.songs.cooking as cooking\nfrom beatsight.errors import InputError\n"
    "def fail(*a, **k):\n    raise InputError('planted fault')\ncooking.render_shards = fail"
)


@pytest.mark.slow
def test_others_wait_as_long_as_the_first_renders(root: Path, tmp_path: Path) -> None:
    words = ["train-songs", str(recipe_file(tmp_path)), "--data", str(root), "-o", str(tmp_path / "out")]
    words += ["--workers", "1"]
    with Children() as children:
        done = children.run(root, tmp_path, {}, processes=2, command=words, patch=SLOW, kill_after_s=300)
        assert done["codes"] == [0, 0], done["errors"]
        assert "Wrote " in done["errors"][0] and done["errors"][1] == ""
        assert np.isfinite(read_song_model(tmp_path / "out" / "tiny.safetensors").weights["leave.bias"]).all()
        words[words.index("-o") + 1] = str(tmp_path / "other")
        failed = children.run(root, tmp_path, {}, processes=2, command=words, patch=FAILS, kill_after_s=300)
    said = [line for text in failed["errors"] for line in text.splitlines() if "renders" not in line]
    assert said == ["beatsight: planted fault"] and failed["codes"][0] == 3 and failed["codes"][1] != 0


def test_two_processes_go_through_all_stages_together(root: Path, tmp_path: Path) -> None:
    """Every stage needs what the first process wrote of those before, and a meeting of its own."""
    last = (
        MORE + '\n[[stages]]\nname = "last"\nsets = ["train"]\nstart = "mean"\n'
        "training = { steps = 2, every = 2, warmup = 1 }\nmix = { frames = 200, batch = 1 }\n"
        "network = { stem = [4, 4], width = 8, dilations = [1, 2] }\n"
    )
    words = ["train-songs", str(recipe_file(tmp_path, RECIPE + last)), "--data", str(root)]
    words += ["-o", str(tmp_path / "out"), "--workers", "1"]
    with Children() as children:
        done = children.run(root, tmp_path, {}, processes=2, command=words, kill_after_s=100)
    assert done["codes"] == [0, 0], done["errors"]
    assert [line for line in done["errors"][0].splitlines() if line.endswith(": begins")] == [
        "only: begins", "more: begins", "last: begins",
    ]  # fmt: skip
    assert (tmp_path / "out" / "last" / "average.pth").is_file()
