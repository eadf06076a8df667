"""The model card: every planted fact is on it, and what nobody states is said to be not stated."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_models import BOTH_HEADS, small_model

from beatsight.errors import InputError
from beatsight.gates.bootstrap import BootstrapSettings, bootstrap_gate
from beatsight.gates.result import write_report
from beatsight.models.card import model_card
from beatsight.models.card_facts import facts_of
from beatsight.models.checkpoint import Model

TRAINING: dict[str, Any] = {
    "config": {
        "lr": 0.00371, "network": "compact", "heads": ["velocity"], "freeze": [], "augment": {"mix": 0.17},
    },
    "epochs_done": 41,
    "best_epoch": 37,
    "last": {"epoch": 37, "val_loss": 0.1234567, "val_macro_f1": 0.8765, "val_velocity_mae": None},
    "moments": {"train": 7001, "val": 311, "test": 0},
    "label_counts": {"kick": 4321, "snare": 17, "china": 0},
    "sessions": {"train": 19, "val": 1, "test": 0},
    "sources": {"Groove MIDI": 7200.0, "MDB Drums": 900.0, "my | own\nkit": 36.0},
    "untrained_labels": ["china", "ride_bell"],
    "sampling": {"group_field": "session_id"},
}  # fmt: skip


def planted() -> Model:
    model = small_model("compact", BOTH_HEADS)
    model.training = TRAINING
    return model


def evaluation_of(model: Model, split: str = "val") -> dict[str, Any]:
    rows = {
        label: {"precision": 0.5, "recall": 0.25, "f1": 0.331, "support": 100, "threshold": float(threshold)}
        for label, threshold in zip(model.labels, model.thresholds, strict=True)
    }
    rows["kick"] |= {"precision": 0.912, "recall": 0.823, "f1": 0.865, "support": 12}
    rows["china"] |= {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    means = {f"{a}_{b}": 0.701 for a in ("macro", "micro") for b in ("precision", "recall", "f1")}
    return {
        "split": split, "moments": 4567, "per_class": rows, **means, "macro_f1": 0.6543, "micro_f1": 0.7654,
        "classes_without_support": ["china"], "confusion": {},
    }  # fmt: skip


def estimate(value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"point_estimate": value, "mean": value, "ci_lower": low, "ci_upper": high, "n": 9}


BOOTSTRAP: dict[str, Any] = {
    "report": "bootstrap", "passed": None, "gating_results": [], "inputs": {},
    "macro_f1": estimate(0.6543, 0.601, 0.709), "micro_f1": estimate(0.7654, None, None),
    "openness_mae": None, "per_class_f1": {"kick": estimate(0.865, 0.8, 0.9)}, "clusters": 27,
    "cluster": "session", "iterations": 1500, "confidence": 0.95, "method": "percentile",
    "notes": ["27 sessions <b>to</b> draw from"],
}  # fmt: skip


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def rows_of(card: str) -> dict[str, list[str]]:
    """First cell of each table row → its other cells (the last row of that name)."""
    found = {}
    for line in card.splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[cells[0]] = cells[1:]
    return found


def section(card: str, name: str) -> str:
    return card.split(f"## {name}\n")[1].split("\n## ")[0]


def test_planted_facts_are_on_the_card(tmp_path: Path) -> None:
    model = planted()
    evaluation = write(tmp_path / "e.json", evaluation_of(model))
    facts = facts_of(model, evaluation, write(tmp_path / "b.json", BOOTSTRAP))
    card = model_card(model, facts)
    about = rows_of(section(card, "Model"))
    assert about["Parameters"] == [f"{sum(p.numel() for p in model.network.parameters()):,}"]
    assert about["Further outputs"] == ["velocity, openness"] and about["Temperature"] == ["1.5"]
    assert "16 mel bands × 16 frames of mono audio at 44100 Hz: 93 ms, 23 ms of them" in card
    data = rows_of(section(card, "Data"))
    assert (data["train"], data["val"], data["test"]) == (["7001", "19"], ["311", "1"], ["0", "0"])
    assert (data["kick"], data["china"], data["tom_low"]) == (["4321"], ["0"], ["not stated"])
    training = rows_of(section(card, "Training"))
    assert (training["Epochs done"], training["Best epoch"]) == (["41"], ["37"])
    assert (training["lr"], training["heads"], training["freeze"]) == (["0.00371"], ["velocity"], ["none"])
    assert training["augment"] == ["mix 0.17"] and training["Sampling"] == ["group_field session_id"]
    assert training["val_macro_f1"] == ["0.8765"] and training["val_velocity_mae"] == ["not stated"]
    assert "at epoch 37:" in card
    figures = section(card, "Figures")
    assert "| kick | 0.912 | 0.823 | 0.865 | 12 | 0.200 |" in figures
    assert "| china | – | – | – | 0 | 0.800 |" in figures
    assert "| macro average | 0.701 | 0.701 | 0.654 | – | – |" in figures
    assert "Clips of the val split, 4567 moments" in figures
    assert "95% intervals (percentile bootstrap, 1500 resamples of 27 sessions)" in figures
    intervals = rows_of(figures)
    assert intervals["macro_f1"] == ["0.654", "0.601 to 0.709"] and intervals["micro_f1"] == ["0.765", "none"]
    assert intervals["F1 of kick"] == ["0.865", "0.800 to 0.900"] and "openness_mae" not in intervals
    assert "&lt;b>to" in figures and "<b>" not in card


def test_limits_follow_from_the_facts(tmp_path: Path) -> None:
    model = planted()
    limits = section(
        model_card(model, facts_of(model, write(tmp_path / "e.json", evaluation_of(model)))), "Limits"
    )
    for sentence in (
        "Never trained on: china, ride_bell.",
        "Epoch, thresholds and temperature were chosen on one session.",
        "Not evaluated: china.",
        "Evaluated on fewer than 30 clips: kick.",
        "The figures are of the val split, not of a test split.",
        "Sources whose licence forbids commercial use: MDB Drums.",
    ):
        assert f"- {sentence}\n" in f"{limits}\n"
    assert "No evaluation" not in limits
    tested = model_card(model, facts_of(model, write(tmp_path / "t.json", evaluation_of(model, "test"))))
    assert "not of a test split" not in tested
    model.training = {"sessions": {"train": 1, "val": 0}, "untrained_labels": []}
    bare = section(model_card(model, facts_of(model)), "Limits")
    assert "Nothing was held out in training" in bare and "Never trained on" not in bare
    assert "No evaluation was given" in bare


def test_sources_have_the_licence_of_their_card_or_of_a_provenance_file(tmp_path: Path) -> None:
    model = planted()
    stated = {"name": "one_shots", "title": "my | own\nkit", "licence": "CC0-1.0", "commercial": True}
    unused = {"title": "Elsewhere", "version": "2.1", "licence": "of the files"}
    files = [
        write(tmp_path / f"{i}.json", {"format": "x", "source": s}) for i, s in enumerate((stated, unused))
    ]
    found = rows_of(section(model_card(model, facts_of(model, provenance=files)), "Data"))
    assert found["Groove MIDI 1.0.0"][:3] == ["2.000", "CC-BY-4.0", "yes"]
    mdb = next(cells for name, cells in found.items() if name.startswith("MDB Drums"))
    assert mdb[:3] == ["0.250", "CC-BY-NC-SA-4.0", "no"] and mdb[4].startswith("http")
    assert found[r"my \| own kit"] == ["0.010", "CC0-1.0", "yes", "not stated", "not stated"]
    assert found["Elsewhere 2.1"] == ["not stated"] * 5
    without = rows_of(section(model_card(model, facts_of(model)), "Data"))
    assert without[r"my \| own kit"][1:] == ["not stated"] * 4


def test_a_model_of_which_nothing_is_known() -> None:
    model = small_model()
    model.training = {}
    card = model_card(model, facts_of(model))
    for sentence in (
        "Splits: not stated.",
        "Training moments of each class: not stated.",
        "Sources and their licences: not stated.",
        "Evaluation: not stated.",
        "Intervals: not stated.",
        "Classes without a training example: not stated.",
    ):
        assert sentence in card
    assert rows_of(card)["Sampling"] == ["not stated"] and "None" not in card and "nan" not in card
    assert model_card(model, facts_of(model)) == card


def test_files_that_do_not_belong_to_the_model(tmp_path: Path) -> None:
    model = planted()
    other = evaluation_of(model)
    other["per_class"]["snare"]["threshold"] += 0.01
    fewer = evaluation_of(model)
    del fewer["per_class"]["snare"]
    short = {key: value for key, value in evaluation_of(model).items() if key != "moments"}
    for value, why in (
        (
            other,
            "is an evaluation of another model: its threshold for snare is 0.264545, this model's is 0.25",
        ),
        (fewer, "is an evaluation of other classes than the model's"),
        (short, "moments: is missing"),
        (BOOTSTRAP, "macro_f1: Expected float, got object"),
        ([1], "is not a JSON object"),
    ):
        path = write(tmp_path / "e.json", value)
        with pytest.raises(InputError, match=rf"e\.json: {why}"):
            facts_of(model, path)
    with pytest.raises(InputError, match=r"e\.json: macro_f1"):
        facts_of(model, bootstrap=write(tmp_path / "e.json", evaluation_of(model)))
    with pytest.raises(InputError, match=r"e\.json: source"):
        facts_of(model, provenance=[tmp_path / "e.json"])
    with pytest.raises(InputError, match=r"none\.json: cannot be read"):
        facts_of(model, tmp_path / "none.json")
    model.training = {"moments": [3]}
    with pytest.raises(InputError, match="the training summary of the model file cannot be used: Expected"):
        facts_of(model)


def test_a_report_that_the_bootstrap_gate_wrote(tmp_path: Path) -> None:
    examples = Path(__file__).resolve().parents[2] / "examples" / "gates"
    report = bootstrap_gate(
        BootstrapSettings(
            ground_truth=examples / "bootstrap_truth.jsonl",
            predictions=examples / "bootstrap_predictions.jsonl",
            iterations=50,
        )
    )
    write_report(report, tmp_path / "b.json")
    card = rows_of(model_card(planted(), facts_of(planted(), bootstrap=tmp_path / "b.json")))
    found = report.macro_f1
    assert found is not None
    interval = f"{found.ci_lower:.3f} to {found.ci_upper:.3f}"
    assert card["macro_f1"] == [f"{found.point_estimate:.3f}", interval]
