"""``beatsight gate health``: does a manifest hold what a model needs, and nothing that it must not?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import progress_bar
from beatsight.cli.gate.options import Html, Json, Strict, finish
from beatsight.gates.outputs import check_targets


def health(
    events: Annotated[
        list[Path],
        typer.Option("--events", help="Manifest: .jsonl, .jsonl.gz, .jsonl.zst or .parquet; repeat."),
    ],
    components: Annotated[
        Path | None, typer.Option("--components", help="JSON list of known labels; default: the taxonomy's.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "--report", help="Where to write the report (JSON); its page goes beside it."
        ),
    ] = None,
    html_output: Html = None,
    dataset_metadata: Annotated[
        Path | None,
        typer.Option("--dataset-metadata", help="metadata.json of a built dataset, for durations."),
    ] = None,
    max_duplication_rate: Annotated[
        float | None,
        typer.Option("--max-duplication-rate", help="Greatest share of events that repeat another, 0..1."),
    ] = None,
    min_class_count: Annotated[
        int | None,
        typer.Option(
            "--min-class-count", help="Least hits of every label of --components, or else observed."
        ),
    ] = None,
    max_unknown_labels: Annotated[
        int | None, typer.Option("--max-unknown-labels", help="Most hits with unknown labels.")
    ] = None,
    require_technique: Annotated[
        list[str] | None,
        typer.Option("--require-technique", help="A technique some event must have; repeat."),
    ] = None,
    require_techniques_file: Annotated[
        Path | None,
        typer.Option("--require-techniques-file", help="Such techniques, one a line; # comments."),
    ] = None,
    require_label: Annotated[
        list[str] | None, typer.Option("--require-label", help="A label some hit must have; repeat.")
    ] = None,
    require_labels_file: Annotated[
        Path | None, typer.Option("--require-labels-file", help="Such labels, one a line; # comments.")
    ] = None,
    min_counts_json: Annotated[
        Path | None, typer.Option("--min-counts-json", help="JSON object: label, least hits.")
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            "--split", help="split.json: gates that drummers, kits, rooms, sessions are on one side."
        ),
    ] = None,
    isolate: Annotated[
        list[str] | None,
        typer.Option("--isolate", help="Only drummer, kit, room or session must be on one side; repeat."),
    ] = None,
    check_audio: Annotated[
        bool, typer.Option("--check-audio", help="Listen to every recording: loudness, clipping, DC, copies.")
    ] = False,
    audio_root: Annotated[
        Path | None,
        typer.Option(
            "--audio-root", help="Folder of the audio (implies --check-audio); default: where EVENTS lies."
        ),
    ] = None,
    max_clipped_share: Annotated[
        float | None, typer.Option("--max-clipped-share", help="Greatest share of clipped recordings, 0..1.")
    ] = None,
    max_dc: Annotated[
        float | None, typer.Option("--max-dc", help="Greatest DC offset of a recording; full scale is 1.")
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Count labels, techniques, dynamics, loudness, duplicates and splits, and hold them against thresholds.

    Example: beatsight gate health --events events.jsonl --min-class-count 20 --max-unknown-labels 0 --strict
    """
    # Imported here: DuckDB and Arrow take a while to load, and --help does without them.
    from beatsight.gates.health import HealthSettings, health_gate
    from beatsight.gates.health.settings import GROUPS

    settings = HealthSettings(
        events=events, components=components, dataset_metadata=dataset_metadata, split=split,
        audio_root=audio_root, check_audio=check_audio, isolate=isolate or list(GROUPS),  # type: ignore[arg-type]
        max_duplication_rate=max_duplication_rate, min_class_count=min_class_count,
        max_unknown_labels=max_unknown_labels, require_technique=require_technique or [],
        require_techniques_file=require_techniques_file, require_label=require_label or [],
        require_labels_file=require_labels_file, min_counts_json=min_counts_json,
        max_clipped_share=max_clipped_share, max_dc=max_dc,
    )  # fmt: skip
    check_targets(settings, output, html_output)
    with progress_bar("Counting") as progress:
        report = health_gate(settings, progress=progress)
    finish(report, json_path=output, html_path=html_output, strict=strict, as_json=as_json)
