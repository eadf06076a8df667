"""Both networks on kits that they never heard: ``python benchmarks/cross_kit.py --kits kits/* --seeds 3``.

Every folder of ``--kits`` is left out in turn (``--folds`` names some of them): the networks train on the
recorded strikes of the others, choose epoch and thresholds on a part of those (by whole kits), and are scored
on the one left out. Training and scoring mix strikes as training does (:mod:`beatsight.dataset.augment`); all
networks and seeds are scored on the same mixtures. A folder that holds several kits, which may share pieces,
is left out as a whole.

Macro F1 is the mean over the classes that the unheard kit has, at the thresholds the model file holds; mAP,
the mean over them of average precision, asks no threshold. Intervals are those of the mean over seeds
(Student's t, 95 %); the rows "all kits" average over the kits first. They say how much the seed matters, not
how other kits would do: the range over the kits shows that.

Everything lies in ``--output``, and what is there already is not done again: a long run can be stopped.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from networks import machine, new_network, operations, per_second
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.batches import Batches
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset, open_dataset
from beatsight.events import Event
from beatsight.files import write_bytes
from beatsight.metrics import average_precision, multilabel_report
from beatsight.models.checkpoint import Model, load_model
from beatsight.models.precision import choose_device
from beatsight.sources import Collection
from beatsight.synth.sample_kit import find_kits, read_kit
from beatsight.train.config import TrainConfig
from beatsight.train.loop import train_classifier

NETWORKS = ("cnn", "compact")
# Kits are few and equal in size, so this holds one of them out.
VAL_FRACTION = 0.15
# Of the mixtures that every model is scored on, and how often every strike is mixed anew.
TEST_SEED, TEST_ROUNDS = 1000, 4
CONFIDENCE = 0.95
BATCH = 64
# A quick run: strikes of a class and kit, epochs.
QUICK_STRIKES, QUICK_EPOCHS = 8, 3
SPEED_SECONDS = 1.0


@dataclass(frozen=True)
class Score:
    """One model on the kit it never heard."""

    macro_f1: float
    micro_f1: float
    mean_ap: float
    classes: int
    best_epoch: int


def collect(kits: list[Path], root: Path) -> dict[str, list[str]]:
    """Put all kits into one collection; the sessions of each folder."""
    collection, listed = Collection(root), root / "folders.json"
    names = sorted(kit.name for kit in kits)
    if not listed.is_file():
        for kit in kits:
            for folder in find_kits(kit):
                collection.add_kit(folder)
        write_bytes(listed, json.dumps(names).encode())
    elif json.loads(listed.read_text(encoding="utf-8")) != names:
        raise SystemExit(f"{root}: holds other kits than those named; give another --output")
    there = {event.session_id for event in collection.events()}
    # A kit is one session; of kits that share pieces, the first has them.
    return {
        kit.name: [name for folder in find_kits(kit) if (name := read_kit(folder).name) in there]
        for kit in kits
    }


def first_strikes(events: list[Event], most: int) -> list[Event]:
    """At most so many strikes of each label in each session."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    kept = []
    for event in events:
        key = (event.session_id, event.components[0].label)
        counts[key] += 1
        if counts[key] <= most:
            kept.append(event)
    return kept


def fold_dataset(root: Path, output: Path, held_out: list[str], quick: bool) -> Dataset:
    """The dataset in which these sessions are the test split."""
    if (output / "metadata.json").is_file():
        return open_dataset(output)
    events = Collection(root).events()
    if quick:
        events = first_strikes(events, QUICK_STRIKES)
    return build_dataset(events, root, output, val_fraction=VAL_FRACTION, test_sessions=held_out)


def score(model: Model, dataset: Dataset, config: TrainConfig, best_epoch: int) -> Score:
    """A model on mixtures of the test split."""
    scores, truth = [], []
    for number in range(TEST_ROUNDS):
        batches = Batches(
            dataset, "test", model.features, augment=config.augment, device=model.device,
            seed=TEST_SEED + number,
        )  # fmt: skip
        for batch in batches.in_order(BATCH):
            scores.append(model.scores_of_features(batch.features).cpu().numpy())
            truth.append(batch.labels.cpu().numpy() > 0.5)
    table, targets = np.concatenate(scores), np.concatenate(truth)
    report = multilabel_report(targets, table >= model.thresholds)
    present = np.flatnonzero(report.support > 0)
    precision = [average_precision(targets[:, label], table[:, label]) for label in present]
    return Score(
        macro_f1=float(report.f1[present].mean()),
        micro_f1=float(report.micro.f1),
        mean_ap=float(np.mean(precision)),
        classes=len(present),
        best_epoch=best_epoch,
    )


def run(dataset: Dataset, output: Path, config: TrainConfig) -> Score:
    """Train and score one model, unless that was done before with the same settings."""
    done, settings = output / "score.json", config.to_dict()
    if done.is_file():
        before = json.loads(done.read_text(encoding="utf-8"))
        if before["settings"] == settings:
            return Score(**before["score"])
    trained = train_classifier(dataset, output, config)
    model = load_model(trained.best_path, choose_device(config.device))
    found = score(model, dataset, config, trained.best_epoch)
    write_bytes(done, msgspec.json.encode({"settings": settings, "score": asdict(found)}))
    return found


def mean_and_interval(values: list[float]) -> str:
    """Mean and half the width of its interval; one value has none.

    >>> mean_and_interval([0.5]), mean_and_interval([0.4, 0.5, 0.6])
    ('0.500', '0.500 ± 0.248')
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3f}"
    wide = (
        student.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    )
    return f"{mean:.3f} ± {wide:.3f}"


def rows_of(scores: dict[tuple[str, str], list[Score]]) -> list[list[str]]:
    """Kit, network, seeds, classes, and the three figures; then the same over all kits."""
    rows = []
    for (kit, network), found in scores.items():
        figures = [[getattr(one, name) for one in found] for name in ("macro_f1", "micro_f1", "mean_ap")]
        rows.append([kit, network, str(len(found)), str(found[0].classes), *map(mean_and_interval, figures)])
    kits = dict.fromkeys(kit for kit, _ in scores)
    for network in dict.fromkeys(network for _, network in scores) if len(kits) > 1 else ():
        table = np.array(
            [[(s.macro_f1, s.micro_f1, s.mean_ap) for s in scores[kit, network]] for kit in kits]
        )
        by_seed = table.mean(axis=0)
        figures = [mean_and_interval(by_seed[:, column].tolist()) for column in range(by_seed.shape[1])]
        rows.append(["all kits", network, str(len(by_seed)), "", *figures])
    return rows


def costs_of(network: str, device: torch.device) -> list[str]:
    """Parameters, operations and speed of inference of a network."""
    made, features = new_network(network, device), FeatureConfig()
    clips = torch.rand(BATCH, 1, features.n_mels, features.frames, device=device)
    flops = operations(made, clips[:1])

    def forward() -> None:
        with torch.inference_mode():
            made(clips)

    speed = per_second(forward, BATCH, SPEED_SECONDS, device)
    parameters = sum(value.numel() for value in made.parameters())
    return [f"{parameters:,}", f"{flops / 1e6:,.1f}", f"{speed:,.0f}"]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kits", nargs="+", type=Path, required=True, help="folders of kits, two or more")
    parser.add_argument("--folds", nargs="+", help="leave out only these of them (their names)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=3, help="runs of each network and fold")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("cross_kit"), help="folder for everything")
    parser.add_argument("--quick", action="store_true", help="few strikes and epochs, to see that it works")
    given = parser.parse_args()
    names = [kit.name for kit in given.kits]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        parser.error("--kits needs two or more folders of different names")
    if unknown := set(given.folds or ()) - set(names):
        parser.error(f"--folds: {min(unknown)} is not among the kits")
    return given


def main() -> None:
    """Train, score, print."""
    given = arguments()
    console, device = Console(width=150), choose_device(given.device)
    home = given.output / ("quick" if given.quick else "full")
    sessions = collect(given.kits, given.output / "collection")
    epochs = QUICK_EPOCHS if given.quick else given.epochs
    scores: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for kit in given.folds or sessions:
        dataset = fold_dataset(
            given.output / "collection", home / kit / "dataset", sessions[kit], given.quick
        )
        for network in given.networks:
            for seed in range(given.seeds):
                config = TrainConfig(
                    network=network, epochs=epochs, seed=seed, device=given.device, patience=0
                )
                found = run(dataset, home / kit / f"{network}-{seed}", config)
                scores[kit, network].append(found)
                console.print(f"{kit}, {network}, seed {seed}: {asdict(found)}", highlight=False)
    costs = {network: costs_of(network, device) for network in given.networks}
    unit = "clips/CPU s" if device.type == "cpu" else "clips/s"
    table = Table(title=f"{machine(device)}; {epochs} epochs")
    columns = ("unheard kit", "network", "seeds", "classes", "macro F1", "micro F1", "mAP")
    for column in (*columns, "parameters", "MFLOP a clip", unit):
        table.add_column(column, justify="left" if column in columns[:2] else "right")
    for row in rows_of(scores):
        table.add_row(*row, *costs[row[1]])
    console.print(table)


if __name__ == "__main__":
    main()
