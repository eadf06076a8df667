"""``beatsight gate openset``: are unknown sounds told from known ones?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Report, Strict, finish
from beatsight.gates.outputs import check_targets

# As in beatsight.gates.openset, which loads numpy and more; a test holds the two together.
_MIN_AUROC, _MAX_FPR95, _REJECTION_KEY = 0.90, 0.10, "rejection_score"


def openset(
    ground_truth: Annotated[Path, typer.Option("--ground-truth", help="Truth: {sample_id, is_known}.")],
    predictions: Annotated[Path, typer.Option("--predictions", help="Predictions: {sample_id, scores}.")],
    score: Annotated[
        str, typer.Option("--score", help="max_probability, energy, or given (a key of the predictions).")
    ] = "max_probability",
    score_key: Annotated[
        str, typer.Option("--score-key", help="With --score given: the key; higher = more likely unknown.")
    ] = _REJECTION_KEY,
    min_auroc: Annotated[
        float, typer.Option("--min-auroc", help="Least area under the ROC curve.")
    ] = _MIN_AUROC,
    max_fpr95: Annotated[
        float,
        typer.Option("--max-fpr95", "--max-fpr", help="Largest share of unknown samples let through."),
    ] = _MAX_FPR95,
    report: Report = None,
    html_output: Html = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Judge how well unknown sounds are told from known ones: AUROC, and FPR where 95 % of known ones pass.

    Every sample of the truth needs a prediction; the positive class is "known".

    Example: beatsight gate openset --ground-truth labels.jsonl --predictions predictions.jsonl --strict
    """
    from beatsight.gates.openset import OpensetSettings, openset_gate

    settings = OpensetSettings(
        ground_truth=ground_truth,
        predictions=predictions,
        score=score,  # type: ignore[arg-type]
        score_key=score_key,
        min_auroc=min_auroc,
        max_fpr95=max_fpr95,
    )
    check_targets(settings, report, html_output)
    with progress_bar("Telling known from unknown") as progress:
        answer = openset_gate(settings, progress=progress)
    finish(answer, json_path=report, html_path=html_output, strict=strict, as_json=as_json)
