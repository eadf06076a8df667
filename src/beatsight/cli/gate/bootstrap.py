"""``beatsight gate bootstrap``: how good is a model, how sure is that, is it worse than before?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Report, Strict, finish
from beatsight.gates.bootstrap import BootstrapSettings, bootstrap_gate
from beatsight.gates.bootstrap.records import (
    DEFAULT_CONFIDENCE,
    DEFAULT_ITERATIONS,
    MAX_MACRO_F1_DROP,
    MAX_OPENNESS_MAE_RISE,
    Cluster,
)
from beatsight.gates.outputs import check_targets
from beatsight.metrics import DEFAULT_THRESHOLD
from beatsight.metrics.bootstrap import Method


def bootstrap(
    ground_truth: Annotated[
        Path, typer.Option("--ground-truth", help="Truth by sample_id: labels, or events with components.")
    ],
    predictions: Annotated[Path, typer.Option("--predictions", help="What the model says, by sample_id.")],
    report: Report = None,
    html_output: Html = None,
    strict: Strict = False,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="Earlier report of this gate to compare with.")
    ] = None,
    baseline_predictions: Annotated[
        Path | None,
        typer.Option(
            "--baseline-predictions", help="Predictions of an earlier model, compared on the same resamples."
        ),
    ] = None,
    max_macro_f1_drop: Annotated[
        float, typer.Option("--max-macro-f1-drop", help="How far macro F1 may fall below the baseline's.")
    ] = MAX_MACRO_F1_DROP,
    max_openness_mae_rise: Annotated[
        float,
        typer.Option("--max-openness-mae-rise", help="How far the openness error may rise above its."),
    ] = MAX_OPENNESS_MAE_RISE,
    min_macro_f1: Annotated[
        float | None, typer.Option("--min-macro-f1", help="Least macro F1 that passes.")
    ] = None,
    iterations: Annotated[int, typer.Option("--iterations", help="Resamples.")] = DEFAULT_ITERATIONS,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same report.")] = 0,
    confidence: Annotated[float, typer.Option("--confidence", help="Of the intervals.")] = DEFAULT_CONFIDENCE,
    method: Annotated[
        Method, typer.Option("--method", help="How intervals are made from the resamples.")
    ] = "percentile",
    cluster: Annotated[
        Cluster, typer.Option("--cluster", help="What is drawn; auto: sessions where the truth names them.")
    ] = "auto",
    threshold: Annotated[
        float, typer.Option("--threshold", help="A label is predicted at or above this score.")
    ] = DEFAULT_THRESHOLD,
    thresholds_file: Annotated[
        Path | None,
        typer.Option("--thresholds-file", help="JSON, label to threshold; other labels use --threshold."),
    ] = None,
    as_json: Json = False,
) -> None:
    """F1, errors, onset F1 and ECE with confidence intervals, and a comparison with a baseline.

    Example: beatsight gate bootstrap --ground-truth truth.jsonl --predictions p.jsonl --baseline old.json
    """
    settings = BootstrapSettings(
        ground_truth=ground_truth,
        predictions=predictions,
        iterations=iterations,
        seed=seed,
        confidence=confidence,
        method=method,
        cluster=cluster,
        threshold=threshold,
        thresholds_file=thresholds_file,
        min_macro_f1=min_macro_f1,
        baseline=baseline,
        baseline_predictions=baseline_predictions,
        max_macro_f1_drop=max_macro_f1_drop,
        max_openness_mae_rise=max_openness_mae_rise,
    )
    check_targets(settings, report, html_output)
    with progress_bar("Resampling") as progress:
        result = bootstrap_gate(settings, progress=progress)
    finish(result, json_path=report, html_path=html_output, strict=strict, as_json=as_json)
