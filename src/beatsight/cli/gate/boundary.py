"""``beatsight gate boundary``: are hits at the edges of a streaming recogniser's windows found?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Report, Strict, finish
from beatsight.gates.boundary import MIN_MACRO_RECALL, BoundarySettings, boundary_gate
from beatsight.gates.outputs import check_targets
from beatsight.metrics import DEFAULT_THRESHOLD


def boundary(
    ground_truth: Annotated[
        Path, typer.Option("--ground-truth", help="Boundary pack (beatsight manifest boundary-pack).")
    ],
    predictions: Annotated[Path, typer.Option("--predictions", help="Scores by sample_id.")],
    report: Report = None,
    html_output: Html = None,
    strict: Strict = False,
    threshold: Annotated[
        float, typer.Option("--threshold", help="A label is predicted at or above this score.")
    ] = DEFAULT_THRESHOLD,
    thresholds_file: Annotated[
        Path | None,
        typer.Option("--thresholds-file", help="JSON, label to threshold; other labels use --threshold."),
    ] = None,
    min_macro_recall: Annotated[
        float, typer.Option("--min-macro-recall", help="Least macro recall that passes.")
    ] = MIN_MACRO_RECALL,
    as_json: Json = False,
) -> None:
    """Precision, recall and F1 at the edges of streaming windows, per class, averaged and by edge.

    Example: beatsight gate boundary --ground-truth labels.jsonl --predictions predictions.jsonl --strict
    """
    settings = BoundarySettings(
        ground_truth=ground_truth,
        predictions=predictions,
        threshold=threshold,
        thresholds_file=thresholds_file,
        min_macro_recall=min_macro_recall,
    )
    check_targets(settings, report, html_output)
    with progress_bar("Scoring window edges") as progress:
        result = boundary_gate(settings, progress=progress)
    finish(result, json_path=report, html_path=html_output, strict=strict, as_json=as_json)
