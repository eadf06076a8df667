"""``beatsight gate latency``: is the transcriber fast enough on this machine?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Report, Strict, finish
from beatsight.gates.outputs import check_targets


def latency(
    audio: Annotated[list[Path], typer.Option("--audio", help="A song to time; repeat for more.")],
    model: Annotated[
        Path | None, typer.Option("--model", "--ml-model", help="Model file; else as transcribe chooses.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    repeats: Annotated[int, typer.Option("--repeats", help="How often each thing is timed.")] = 3,
    max_rtf: Annotated[
        float, typer.Option("--max-rtf", help="Most seconds of work a second of sound, model loaded.")
    ] = 0.2,
    max_first_result_s: Annotated[
        float | None,
        typer.Option(
            "--max-first-result-s",
            help="Longest wait from starting the program to the chart of the first 10 s, in seconds.",
        ),
    ] = None,
    report: Report = None,
    html_output: Html = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Time the transcriber on this machine: real-time factor and the delay of the first result.

    Example: beatsight gate latency --audio groove.ogg --audio waltz.ogg --max-rtf 0.2 --strict
    """
    from beatsight.gates.latency import LatencySettings, latency_gate
    from beatsight.transcription.latency import measure_latency

    settings = LatencySettings(
        audio=audio,
        model=model,
        device=device,
        repeats=repeats,
        max_rtf=max_rtf,
        max_first_result_s=max_first_result_s,
    )
    check_targets(settings, report, html_output)
    with progress_bar("Timing") as progress:
        found = latency_gate(settings, measure_latency, progress=progress)
    finish(found, json_path=report, html_path=html_output, strict=strict, as_json=as_json)
