"""``beatsight gate regression``: is the candidate worse than the blessed baseline?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Strict, finish
from beatsight.gates.outputs import check_targets
from beatsight.gates.regression import RegressionSettings, regression_gate


def regression(
    baseline: Annotated[
        Path, typer.Option("--baseline", help="Health report, or evaluation.json, that was released.")
    ],
    candidate: Annotated[Path, typer.Option("--candidate", help="The same kind of report, of the new one.")],
    max_drop: Annotated[
        str | None,
        typer.Option(
            "--max-drop",
            help="How far a label may fall: hits (25) or a share of them (25%); between evaluations points "
            "of F1. By default 0 hits, 3 points.",
        ),
    ] = None,
    ignore_label: Annotated[
        list[str] | None, typer.Option("--ignore-label", help="Label not to compare; may be repeated.")
    ] = None,
    json_output: Annotated[
        Path | None,
        typer.Option(
            "--json-output", "--report", help="Where to write the report (JSON); its page goes beside it."
        ),
    ] = None,
    html_output: Html = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Compare two health reports, or two evaluations: drops by label, new failures, unknown labels.

    Example: beatsight gate regression --baseline baseline.json --candidate health.json --max-drop 25 --strict
    """
    settings = RegressionSettings(
        baseline=baseline, candidate=candidate, max_drop=max_drop, ignore_label=ignore_label or []
    )
    check_targets(settings, json_output, html_output)
    with progress_bar("Comparing reports") as progress:
        result = regression_gate(settings, progress=progress)
    finish(result, json_path=json_output, html_path=html_output, strict=strict, as_json=as_json)
