"""``beatsight gate alignment``: do the microphones of a session share one clock?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Report, Strict, finish
from beatsight.gates.outputs import check_targets

# As in beatsight.gates.alignment, which loads numpy and more; a test holds the two together.
_MAX_DELAY_MS, _MAX_DRIFT, _SEARCH_MS = 0.25, 1.0, 50.0


def alignment(
    manifest: Annotated[
        Path, typer.Option("--manifest", help="The session: {session_id, mics: [{name, path}]}.")
    ],
    anchor: Annotated[
        str | None, typer.Option("--anchor", help="Microphone to measure against; default: chosen.")
    ] = None,
    audio_root: Annotated[
        Path | None,
        typer.Option("--audio-root", help="Folder the audio must lie in; default: the manifest's."),
    ] = None,
    max_delay_ms: Annotated[
        float, typer.Option("--max-delay-ms", help="Largest delay, and largest jump of it.")
    ] = _MAX_DELAY_MS,
    max_drift: Annotated[
        float, typer.Option("--max-drift", help="Largest drift, in samples per minute.")
    ] = _MAX_DRIFT,
    search_ms: Annotated[
        float, typer.Option("--search-ms", help="How far delays are looked for, to both sides.")
    ] = _SEARCH_MS,
    report: Report = None,
    html_output: Html = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Measure delay, drift and polarity of every microphone of a session against one of them.

    A late microphone has a positive delay. A silent microphone is not measured, and so fails.

    Example: beatsight gate alignment --manifest session.json --report reports/alignment.json --strict
    """
    from beatsight.gates.alignment import AlignmentSettings, alignment_gate

    settings = AlignmentSettings(
        manifest=manifest,
        anchor=anchor,
        audio_root=audio_root,
        max_delay_ms=max_delay_ms,
        max_drift=max_drift,
        search_ms=search_ms,
    )
    check_targets(settings, report, html_output)
    with progress_bar("Listening") as progress:
        answer = alignment_gate(settings, progress=progress)
    finish(answer, json_path=report, html_path=html_output, strict=strict, as_json=as_json)
