"""Several processes train like one, speak with one voice, and end together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_children import Children

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import UsageError
from beatsight.models.checkpoint import load_model
from beatsight.models.networks import make_network
from beatsight.train.loop import FINAL_NAME, HISTORY_NAME
from beatsight.train.processes import SharedBatchNorm, is_first, joined, own_device, share_statistics
from tiny_dataset import tiny_songs

CONFIG: dict[str, Any] = {
    "epochs": 2, "batch_size": 6, "dropout": 0.0, "device": "cpu", "precision": "fp32", "lr": 0.003,
    "seed": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four sessions, one held out; some velocities known: halves of a batch know unequally much."""
    folder = tmp_path_factory.mktemp("processes")
    events = tiny_songs(folder / "audio", 4, ("kick", "snare", "hihat_open"), beats=6)
    for number, event in enumerate(events):
        if number % 3 == 0:
            event.components[0].velocity = 0.1 + 0.1 * (number % 8)
        if number % 5 == 2 and event.components[0].label == "hihat_open":
            event.components[0].openness = 0.7
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.25)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children() as made:
        yield made


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / HISTORY_NAME).read_text().splitlines()]


def assert_same_curve(one: Path, two: Path, val_within: float) -> None:
    for a, b in zip(rows(one), rows(two), strict=True):
        assert b["train_loss"] == pytest.approx(a["train_loss"], abs=1e-4)
        assert b["val_loss"] == pytest.approx(a["val_loss"], abs=val_within)


@pytest.mark.parametrize(
    ("settings", "val_within"),
    [
        # Small steps: where two pixels of a max pooling are all but equal, rounding says which one learns,
        # and before a batch normalisation a bias has a gradient of rounding errors, which Adam enlarges.
        pytest.param({"network": "cnn", "ema": 0.9, "lr": 1e-4}, 1e-4, marks=pytest.mark.slow),
        # Means over what is known: the halves of a batch know unequally much.
        ({"network": "compact", "heads": ["velocity", "openness"], "loss": "cross_entropy"}, 1e-4),
    ],
)
def test_two_processes_give_the_curve_of_one(
    children: Children, dataset: Dataset, tmp_path: Path, settings: dict[str, Any], val_within: float
) -> None:
    config = {**CONFIG, **settings}
    alone = children.run(dataset.root, tmp_path / "one", config)
    assert alone["codes"] == [0], alone["errors"]
    both = children.run(dataset.root, tmp_path / "two", config, processes=2)
    assert both["codes"] == [0, 0], both["errors"]
    assert_same_curve(tmp_path / "one", tmp_path / "two", val_within)
    assert both["errors"][1] == ""


@pytest.mark.slow
def test_what_is_frozen_stays_so_in_two_processes(
    children: Children, dataset: Dataset, tmp_path: Path
) -> None:
    config = {**CONFIG, "network": "compact", "epochs": 1, "freeze": ["stem", "block1.1"]}
    assert children.run(dataset.root, tmp_path / "two", config, processes=2)["codes"] == [0, 0]
    torch.manual_seed(CONFIG["seed"])
    features = load_model(tmp_path / "two" / FINAL_NAME).features
    made = make_network("compact", 12, 0.0, (), features).state_dict()
    trained = load_model(tmp_path / "two" / FINAL_NAME).network.state_dict()
    for name, value in made.items():
        frozen = name.startswith(("stem.", "block1.1."))
        assert torch.equal(trained[name], value) == frozen, name


@pytest.mark.slow
def test_a_run_of_two_is_resumed_by_two(children: Children, dataset: Dataset, tmp_path: Path) -> None:
    config = {**CONFIG, "network": "compact"}
    assert children.run(dataset.root, tmp_path / "a", config, processes=2)["codes"] == [0, 0]
    stop = (
        "import beatsight.train.loop as loop\nloop._SAVE_EVERY_S = -1.0\nreal = loop._Run._step\n"
        "def step(self, batch):\n    if self.progress.step == 4:\n        import os; os._exit(9)\n"
        "    return real(self, batch)\nloop._Run._step = step"
    )
    killed = children.run(dataset.root, tmp_path / "b", config, processes=2, patch=stop)
    assert killed["codes"] == [9, 9]
    again = children.run(dataset.root, tmp_path / "b", config, processes=2, resume=True)
    assert again["codes"] == [0, 0] and again["errors"] == ["resumed after 4 of 6 steps\n", ""]
    name = FINAL_NAME
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def command(dataset: Dataset, output: Path, *more: str) -> list[str]:
    words = (
        f"train --dataset {dataset.root} -o {output} --network compact --epochs 1 --batch-size 6 --device cpu"
    )
    return [*words.split(), *more]


TINY = (
    "import beatsight.train.loop as loop\nfrom tiny_dataset import TINY_FEATURES\n"
    "loop.FeatureConfig = lambda: TINY_FEATURES\n"
)


def test_only_the_first_speaks_and_writes(children: Children, dataset: Dataset, tmp_path: Path) -> None:
    words = command(dataset, tmp_path / "run", "--metrics-json", str(tmp_path / "m.json"))
    done = children.run(dataset.root, tmp_path, {}, processes=2, command=words, patch=TINY)
    assert done["codes"] == [0, 0], done["errors"]
    assert "epoch 1/1" in done["errors"][0] and "Wrote " in done["errors"][0]
    assert done["errors"][1] == ""
    assert json.loads((tmp_path / "m.json").read_bytes())["best_epoch"] == 1


FAIL_IN_THE_SECOND = TINY + (
    "import os\nfrom beatsight.errors import InputError\nreal = loop._Run._step\n"
    "def step(self, batch):\n"
    "    if self.processes.rank == 1 and self.progress.step == 1:\n"
    "        raise InputError('planted fault')\n"
    "    return real(self, batch)\nloop._Run._step = step"
)
NOT_A_NUMBER = TINY + (
    "import torch\nfrom beatsight.train.losses import Loss\nreal = Loss.__call__\n"
    "Loss.__call__ = lambda self, logits, batch, *more: real(self, logits, batch, *more) * float('nan')"
)
DIES = TINY + (
    "import os\nreal = loop._Run._step\n"
    "def step(self, batch):\n"
    "    if self.processes.rank == {rank}:\n        os.kill(os.getpid(), 9)\n"
    "    return real(self, batch)\nloop._Run._step = step"
)
HANGS = TINY + (
    "import time, datetime\nimport beatsight.train.processes as processes\n"
    "processes._PATIENCE = datetime.timedelta(seconds=2)\nreal = loop._Run._step\n"
    "def step(self, batch):\n"
    "    if self.processes.rank == 1:\n        time.sleep(4)\n"
    "    return real(self, batch)\nloop._Run._step = step"
)


@pytest.mark.parametrize(
    ("patch", "more", "codes", "why"),
    [
        (FAIL_IN_THE_SECOND, [], {3}, "beatsight: planted fault"),
        pytest.param(
            NOT_A_NUMBER,
            [],
            {3},
            "the loss is nan in epoch 1, batch 1 (dataset rows ",
            marks=pytest.mark.slow,
        ),
        (TINY, ["--batch-size", "7"], {2}, "--batch-size 7 cannot be divided among 2 processes"),
        (TINY, ["--epochs", "0"], {3}, "training setting epochs must be positive"),
        pytest.param(HANGS, [], {3}, "has ended, or has not answered for 2 s", marks=pytest.mark.slow),
    ],
)
def test_one_sentence_and_the_end_of_all(
    children: Children,
    dataset: Dataset,
    tmp_path: Path,
    patch: str,
    more: list[str],
    codes: set[int],
    why: str,
) -> None:
    words = command(dataset, tmp_path / "run", *more)
    done = children.run(dataset.root, tmp_path, {}, processes=2, command=words, patch=patch)
    assert done["seconds"] < 20
    said = [line for text in done["errors"] for line in text.splitlines() if line.startswith("beatsight: ")]
    assert len(said) == 1 and why in said[0], done["errors"]
    assert "Traceback" not in "".join(done["errors"])
    # The others end of the same fault, or because they were left.
    assert 0 not in done["codes"] and codes & set(done["codes"]) and set(done["codes"]) <= codes | {3}


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_process_that_is_killed_ends_the_others(
    children: Children, dataset: Dataset, tmp_path: Path, rank: int
) -> None:
    patch = DIES.format(rank=rank)
    done = children.run(
        dataset.root, tmp_path, {}, processes=2, command=command(dataset, tmp_path / "run"), patch=patch
    )
    assert done["codes"][rank] == -9 and done["codes"][1 - rank] == 3 and done["seconds"] < 20
    assert "Traceback" not in done["errors"][1 - rank]


@pytest.mark.slow
@pytest.mark.parametrize("network", ["cnn", "compact"])
def test_torchrun_gives_the_curve_of_one_process(dataset: Dataset, tmp_path: Path, network: str) -> None:
    """The command line of the documentation, with full-size clips."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"}
    words = f"train --dataset {dataset.root} --network {network} --epochs 2 --batch-size 6 --device cpu"
    words += " --lr 1e-4 --dropout 0 --precision fp32"
    for name, starter in (
        ("one", ["-m", "beatsight"]),
        ("two", ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "beatsight"]),
    ):
        done = subprocess.run(
            [sys.executable, *starter, *words.split(), "-o", str(tmp_path / name)],
            env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Wrote ") == 1 and done.stderr.count("epoch 1/2") == 1
    assert_same_curve(tmp_path / "one", tmp_path / "two", 1e-4)


def test_the_networks_become_shared_in_place() -> None:
    network = make_network("cnn", 12, 0.0, (), FeatureConfig())
    before = dict(network.named_parameters())
    share_statistics(network)
    assert isinstance(network.conv1[1], SharedBatchNorm)
    assert all(before[name] is parameter for name, parameter in network.named_parameters())


def test_the_environment_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert is_first() and own_device("cuda") == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(UsageError, match="WORLD_SIZE is 2, but RANK, MASTER_ADDR and MASTER_PORT do not fit"),
        joined(torch.device("cpu")),
    ):
        pass
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    assert not is_first() and own_device("cpu") == "cpu" and own_device("cuda") == "cuda:1"
    assert own_device("cuda:0") == "cuda:0"
