"""``beatsight gate calibration``: can a score be taken at its word?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Report, Strict, finish
from beatsight.gates.outputs import check_targets

# As in beatsight.gates.calibration, which loads numpy and more; a test holds the two together.
_BINS, _MAX_ECE = 15, 0.05


def calibration(
    ground_truth: Annotated[
        Path, typer.Option("--ground-truth", help="Truth: {sample_id, labels}, or an events manifest.")
    ],
    predictions: Annotated[Path, typer.Option("--predictions", help="Predictions: {sample_id, scores}.")],
    bins: Annotated[int, typer.Option("--bins", help="Bins of equal width between 0 and 1.")] = _BINS,
    max_ece: Annotated[
        float, typer.Option("--max-ece", help="Largest expected calibration error, all cells.")
    ] = _MAX_ECE,
    max_asserted_ece: Annotated[
        float | None,
        typer.Option(
            "--max-asserted-ece", help="Largest error over cells scored 0.5 or above; else not judged."
        ),
    ] = None,
    max_brier: Annotated[
        float | None, typer.Option("--max-brier", help="Largest Brier score; else not judged.")
    ] = None,
    report: Report = None,
    html_output: Html = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Judge whether scores are probabilities: of all 0.8s, are eight in ten true?

    Every cell (sample, class) is one forecast; samples without a prediction fail the gate "coverage".

    Example: beatsight gate calibration --ground-truth events.jsonl --predictions predictions.jsonl --strict
    """
    from beatsight.gates.calibration import CalibrationSettings, calibration_gate

    settings = CalibrationSettings(
        ground_truth=ground_truth,
        predictions=predictions,
        bins=bins,
        max_ece=max_ece,
        max_asserted_ece=max_asserted_ece,
        max_brier=max_brier,
    )
    check_targets(settings, report, html_output)
    with progress_bar("Comparing scores with truth") as progress:
        answer = calibration_gate(settings, progress=progress)
    finish(answer, json_path=report, html_path=html_output, strict=strict, as_json=as_json)
