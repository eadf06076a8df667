"""A run that is killed and resumed ends with the bytes of one that was left alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_children import Children

from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.train.config import TrainConfig
from beatsight.train.loop import BEST_NAME, FINAL_NAME, HISTORY_NAME, TrainResult, train_classifier
from beatsight.train.state import STATE_NAME
from tiny_dataset import TINY_FEATURES, tiny_songs

# Everything that has a state, and dropout and augmentation, which must not have one.
FULL: dict[str, Any] = {
    "epochs": 8, "batch_size": 6, "network": "compact", "device": "cpu", "precision": "fp32", "lr": 0.1,
    "ema": 0.9, "schedule": "plateau", "patience": 3, "heads": ["velocity", "openness"], "seed": 7,
    "loss": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1,
}  # fmt: skip
QUICK = TrainConfig(epochs=2, batch_size=8, network="compact", device="cpu", precision="fp32", augment=None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("resume")
    events = tiny_songs(folder / "audio", 4, ("kick", "snare", "hihat_closed"), beats=6)
    for number, event in enumerate(events):
        event.components[0].velocity = 0.2 + 0.1 * (number % 7)
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.25)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children() as made:
        yield made


def with_weights(dataset: Dataset, folder: Path) -> dict[str, Any]:
    """The full settings, drawing by a file of sampling weights."""
    sessions = dataset.metadata.sessions["train"]
    groups = {name: {"count": 1, "weight": 0.1 + i} for i, name in enumerate(sessions)}
    path = folder / "weights.json"
    path.write_text(json.dumps({"parameters": {"group_field": "session_id"}, "weights": groups}))
    return {**FULL, "sampling_weights": str(path)}


def untimed(folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / HISTORY_NAME).read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "clips_per_s")} for row in rows]


def same(one: Path, other: Path) -> None:
    for name in (BEST_NAME, FINAL_NAME):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert untimed(one) == untimed(other)
    assert {path.name for path in other.iterdir()} == {BEST_NAME, FINAL_NAME, HISTORY_NAME, STATE_NAME}


def test_killed_at_chosen_moments(children: Children, dataset: Dataset, tmp_path: Path) -> None:
    """In a step, half way through the state, and between the model files and the state of an epoch's end."""
    config = with_weights(dataset, tmp_path)
    left_alone = children.run(dataset.root, tmp_path / "a", config)
    assert left_alone["codes"] == [0], left_alone["errors"]
    for kill_at in (12, 2, left_alone["events"] // 3):
        killed = children.run(dataset.root, tmp_path / "b", config, kill_at=kill_at, resume=True)
        assert killed["codes"] == [-9], killed["errors"]
    done = children.run(dataset.root, tmp_path / "b", config, resume=True)
    assert done["codes"] == [0] and "resumed after" in done["errors"][0]
    same(tmp_path / "a", tmp_path / "b")
    history = untimed(tmp_path / "a")
    assert len(history) < 8, "the settings should make it stop early"
    assert len({row["lr"] for row in history}) > 1, "the settings should make the rate fall"


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_ten_kills_at_random_moments(
    children: Children, dataset: Dataset, tmp_path: Path, schedule: str
) -> None:
    config = {**with_weights(dataset, tmp_path), "schedule": schedule, "epochs": 12, "patience": 0}
    left_alone = children.run(dataset.root, tmp_path / "a", config)
    assert left_alone["codes"] == [0], left_alone["errors"]
    dice, kills = random.Random(schedule), 0
    while kills < 10:
        # By the clock in every other case, else by the count: short files are rarely hit by the clock.
        moment: dict[str, Any] = {"kill_after_s": dice.uniform(0.05, 0.3) * left_alone["seconds"]}
        if kills % 2:
            moment = {"kill_at": dice.randint(1, left_alone["events"] // 8)}
        ended = children.run(dataset.root, tmp_path / "b", config, resume=True, **moment)
        if ended["codes"] == [0]:
            break
        assert ended["codes"] == [-9], ended["errors"]
        kills += 1
    assert kills == 10, f"the run was over after {kills} kills"
    assert children.run(dataset.root, tmp_path / "b", config, resume=True)["codes"] == [0]
    same(tmp_path / "a", tmp_path / "b")


def train(dataset: Dataset, folder: Path, config: TrainConfig = QUICK, **more: Any) -> TrainResult:
    return train_classifier(dataset, folder, config, features=TINY_FEATURES, **more)


def test_a_finished_run_is_left_as_it_is(dataset: Dataset, tmp_path: Path) -> None:
    first = train(dataset, tmp_path)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()}
    said: list[str] = []
    steps: list[int] = []
    again = train(
        dataset, tmp_path, resume=True, on_note=said.append, on_step=lambda done, total: steps.append(done)
    )
    assert said == ["resumed after 4 of 4 steps, the whole run"] and steps == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()} == before
    assert (again.history, again.best_epoch) == (first.history, first.best_epoch)


def test_without_a_state_it_starts_anew_and_says_so(dataset: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    train(dataset, tmp_path / "a", resume=True, on_note=said.append)
    train(dataset, tmp_path / "b")
    assert said == ["there is nothing to resume from: the run starts anew"]
    same(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lr": 0.5}, r"the run was started with lr = 0\.001, not 0\.5; resume it with"),
        ({"seed": 1, "epochs": 3, "lr": 0.5}, r"with epochs = 2, not 3 and lr = 0\.001, not 0\.5 and more;"),
        ({"network": "cnn"}, "with network = 'compact', not 'cnn'"),
    ],
)
def test_other_settings_are_refused(
    dataset: Dataset, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    train(dataset, tmp_path)
    before = (tmp_path / STATE_NAME).read_bytes()
    other = TrainConfig(**{**QUICK.to_dict(), "heads": (), "freeze": (), **change})
    with pytest.raises(UsageError, match=why):
        train(dataset, tmp_path, other, resume=True)
    assert (tmp_path / STATE_NAME).read_bytes() == before


def test_another_dataset_or_file_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    settings = {**with_weights(dataset, tmp_path), "heads": (), "epochs": 1}
    config = TrainConfig(**settings)
    train(dataset, tmp_path / "run", config)
    file = tmp_path / "weights.json"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(UsageError, match="the run was started with another sampling weights;"):
        train(dataset, tmp_path / "run", config, resume=True)
    file.write_text(file.read_text().rstrip())
    # The same content under another name is the same run.
    moved = file.rename(tmp_path / "moved.json")
    train(dataset, tmp_path / "run", TrainConfig(**{**settings, "sampling_weights": str(moved)}), resume=True)
    events = tiny_songs(tmp_path / "audio", 4, ("kick", "snare"), beats=6)
    other = build_dataset(events, tmp_path / "audio", tmp_path / "d", val_fraction=0.25)
    train(dataset, tmp_path / "plain")
    with pytest.raises(UsageError, match="the run was started with another dataset;"):
        train(other, tmp_path / "plain", resume=True)


def test_an_older_runs_state_is_not_resumed_from(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path)

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    other = TrainConfig(**{**QUICK.to_dict(), "heads": (), "freeze": (), "lr": 0.002})
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path, other, on_step=stop)
    said: list[str] = []
    train(dataset, tmp_path, other, resume=True, on_note=said.append)
    assert "starts anew" in said[0]


def damaged(data: bytes, how: str, path: Path) -> None:
    if how == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "noise":
        path.write_bytes(bytes(range(256)) * 8)
    else:
        content = torch.load(path, weights_only=True)
        if how == "format":
            content["format"] = "something"
        elif how == "no settings":
            del content["settings"]
        elif how == "progress":
            content["progress"]["history"] = [{"epoch": "one"}]
        elif how == "moments":
            next(iter(content["optimizer"]["state"].values()))["exp_avg"] = torch.zeros(3)
        elif how == "network":
            content["network"] = {"a": torch.zeros(1)}
        torch.save(content, path)


@pytest.mark.parametrize(
    "how", ["cut short", "empty", "noise", "format", "no settings", "progress", "moments", "network"]
)
def test_a_damaged_state_is_one_sentence(dataset: Dataset, tmp_path: Path, how: str) -> None:
    train(dataset, tmp_path)
    path = tmp_path / STATE_NAME
    damaged(path.read_bytes(), how, path)
    with pytest.raises(InputError, match=f"{STATE_NAME}: (is|does) (damaged|not)"):
        train(dataset, tmp_path, resume=True)


def test_a_pickle_with_code_is_not_run(dataset: Dataset, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": Hostile()}, tmp_path / STATE_NAME)
    with pytest.raises(InputError, match="is damaged or not the state of a run"):
        train(dataset, tmp_path, resume=True)
    assert not (tmp_path / "ran").exists()


def test_what_a_kill_left_half_written_is_removed(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / ".run_state.ab1_cd9z.pth").write_bytes(b"half")
    (tmp_path / ".mine.pth").write_bytes(b"keep")
    train(dataset, tmp_path)
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".mine.pth"]
