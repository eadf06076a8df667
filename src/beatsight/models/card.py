"""The model card: what is known of a model, in Markdown, for those who have to decide whether to use it.

After Mitchell et al., *Model Cards for Model Reporting* (2019). Only facts that the model file or a given
file states; what nobody states reads "not stated". Equal facts give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from beatsight import taxonomy
from beatsight.models.card_facts import BootstrapFile, Facts, Interval, SourceFacts
from beatsight.models.model import Model

NOT_STATED = "not stated"
# A class whose support is smaller than this has an F1 that a few clips decide.
_FEW_CLIPS = 30


def model_card(model: Model, facts: Facts) -> str:
    """The card of a model.

    Args:
        model: the model.
        facts: see :func:`beatsight.models.card_facts.facts_of`.

    Returns:
        Markdown, ending in a newline.
    """
    parts = [
        f"# Model card: {type(model.network).__name__}",
        *_model(model),
        *_data(model, facts),
        *_training(facts),
        *_figures(model, facts),
        *_limits(model, facts),
    ]
    return "\n\n".join(parts) + "\n"


def _cell(value: object) -> str:
    """Text that cannot leave its table cell; None is "not stated"."""
    if value is None or value == "":
        return NOT_STATED
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _model(model: Model) -> list[str]:
    features, heads = model.features, model.network.config.heads
    span_ms = 1000.0 * features.frames * features.hop_length / features.sample_rate
    before_ms = 1000.0 * features.pre_frames * features.hop_length / features.sample_rate
    independent = "each class by itself (sigmoid)" if model.activation == "sigmoid" else "one class (softmax)"
    rows = [
        ("Task", "which drums start at an onset in a recording; it does not find the onsets"),
        ("Network", type(model.network).__name__),
        ("Parameters", f"{sum(value.numel() for value in model.network.parameters()):,}"),
        ("Classes", ", ".join(model.labels)),
        ("Scores", independent),
        ("Further outputs", ", ".join(heads) if heads else "none"),
        (
            "Input",
            f"{features.n_mels} mel bands × {features.frames} frames of mono audio at {features.sample_rate} "
            f"Hz: {span_ms:.0f} ms, {before_ms:.0f} ms of them before the onset",
        ),
        ("Taxonomy", taxonomy.digest()),
        ("Temperature", model.calibration["temperature"]),
    ]
    return ["## Model", _table(("what", "value"), rows)]


def _data(model: Model, facts: Facts) -> list[str]:
    summary = facts.summary
    moments, sessions, counts = summary.moments or {}, summary.sessions or {}, summary.label_counts or {}
    splits = [
        (split, moments.get(split), sessions.get(split)) for split in dict.fromkeys([*moments, *sessions])
    ]
    parts = ["## Data"]
    parts.append(_table(("split", "moments", "sessions"), splits) if splits else f"Splits: {NOT_STATED}.")
    if counts:
        rows = [(label, counts.get(label)) for label in model.labels]
        parts.append(_table(("class", "training moments"), rows))
    else:
        parts.append(f"Training moments of each class: {NOT_STATED}.")
    if facts.sources:
        head = ("source", "hours, all splits", "licence", "commercial use", "citation", "address")
        parts.append(_table(head, [_source(*pair) for pair in facts.sources]))
    else:
        parts.append(f"Sources and their licences: {NOT_STATED}.")
    return parts


def _source(source: SourceFacts, seconds: float | None) -> tuple[object, ...]:
    hours = None if seconds is None else f"{seconds / 3600.0:.3f}"
    allowed = None if source.commercial is None else ("yes" if source.commercial else "no")
    title = f"{source.title} {source.version}".rstrip()
    return title, hours, source.licence, allowed, source.citation, source.url


def _training(facts: Facts) -> list[str]:
    summary, config = facts.summary, dict(facts.summary.config or {})
    augment = config.pop("augment", None)
    rows: list[tuple[str, object]] = [
        ("Epochs done", summary.epochs_done),
        ("Best epoch", summary.best_epoch),
    ]
    rows += [(name, _shown(value)) for name, value in sorted(config.items())]
    if summary.config is not None:
        rows.append(("augment", _shown(augment) if augment else "none"))
    sampling = summary.sampling
    shown = None if sampling is None else _shown(sampling) if sampling else "rare classes drawn more often"
    rows.append(("Sampling", shown))
    parts = ["## Training", _table(("setting", "value"), rows)]
    # The file of the best epoch is written at that epoch.
    if summary.last:
        figures = [(name, value) for name, value in summary.last.items() if name != "epoch"]
        epoch = summary.last.get("epoch")
        when = "" if epoch is None else f" at epoch {epoch:.0f}"
        parts += [f"On training and validation data{when}:", _table(("figure", "value"), figures)]
    return parts


def _shown(value: Any) -> str:
    """A setting in a few words."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value in ("", None) else str(value)


def _figures(model: Model, facts: Facts) -> list[str]:
    evaluation, bootstrap = facts.evaluation, facts.bootstrap
    parts = ["## Figures"]
    if evaluation is None:
        rows = list(zip(model.labels, model.thresholds.tolist(), strict=True))
        parts += [f"Evaluation: {NOT_STATED}.", _table(("class", "threshold"), rows)]
    else:
        kinds = ("precision", "recall", "f1")
        table: list[tuple[object, ...]] = []
        for label in model.labels:
            row = evaluation.per_class[label]
            figures = [f"{getattr(row, kind):.3f}" if row.support else "–" for kind in kinds]
            table.append((label, *figures, row.support, f"{row.threshold:.3f}"))
        for mean in ("macro", "micro"):
            means = [f"{getattr(evaluation, f'{mean}_{kind}'):.3f}" for kind in kinds]
            table.append((f"{mean} average", *means, "–", "–"))
        parts.append(f"Clips of the {_cell(evaluation.split)} split, {evaluation.moments} moments:")
        parts.append(_table(("class", "precision", "recall", "F1", "support", "threshold"), table))
    return parts + (_intervals(bootstrap) if bootstrap else [f"Intervals: {NOT_STATED}."])


def _intervals(bootstrap: BootstrapFile) -> list[str]:
    what = (
        f"{bootstrap.confidence:.0%} intervals ({_cell(bootstrap.method)} bootstrap, {bootstrap.iterations} "
        f"resamples of {bootstrap.clusters} {_cell(bootstrap.cluster)}s):"
    )
    rows = [(name, *_interval(value)) for name, value in bootstrap.metrics().items()]
    rows += [(f"F1 of {name}", *_interval(value)) for name, value in bootstrap.per_class_f1.items()]
    notes = [f"- {_cell(note)}" for note in bootstrap.notes]
    return [what, _table(("metric", "value", "interval"), rows), *(["\n".join(notes)] if notes else [])]


def _interval(value: Interval) -> tuple[str, str]:
    there = value.ci_lower is not None and value.ci_upper is not None
    span = f"{value.ci_lower:.3f} to {value.ci_upper:.3f}" if there else "none"
    return f"{value.point_estimate:.3f}", span


def _limits(model: Model, facts: Facts) -> list[str]:
    """What follows from the facts; a limit that nobody measured is said to be unmeasured."""
    summary, evaluation = facts.summary, facts.evaluation
    limits = [
        "It answers for an onset that something else found, and hears nothing further away than its clip.",
        "A clip's loudness is taken out before the network sees it.",
    ]
    if summary.untrained_labels is None:
        limits.append(f"Classes without a training example: {NOT_STATED}.")
    elif summary.untrained_labels:
        limits.append(f"Never trained on: {_cell(', '.join(summary.untrained_labels))}.")
    held_out = (summary.sessions or {}).get("val")
    if held_out == 0:
        limits.append("Nothing was held out in training: thresholds and temperature are not fitted.")
    elif held_out == 1:
        limits.append("Epoch, thresholds and temperature were chosen on one session.")
    if evaluation is None:
        limits.append(
            "No evaluation was given for this card: how good it is on other recordings is not stated."
        )
    else:
        few = [label for label, row in evaluation.per_class.items() if 0 < row.support < _FEW_CLIPS]
        if evaluation.classes_without_support:
            limits.append(f"Not evaluated: {_cell(', '.join(evaluation.classes_without_support))}.")
        if few:
            limits.append(f"Evaluated on fewer than {_FEW_CLIPS} clips: {', '.join(few)}.")
        if evaluation.split != "test":
            limits.append(f"The figures are of the {_cell(evaluation.split)} split, not of a test split.")
    if closed := [source.title for source, _ in facts.sources if source.commercial is False]:
        limits.append(f"Sources whose licence forbids commercial use: {_cell(', '.join(closed))}.")
    return ["## Limits", "\n".join(f"- {limit}" for limit in limits)]
