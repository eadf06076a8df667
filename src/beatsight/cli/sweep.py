"""``beatsight sweep``: train with many settings, and see which are best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.errors import InputError, UsageError, require
from beatsight.files import write_bytes

app = typer.Typer(add_completion=False)


@app.command()
def sweep(
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder.")] = Path("dataset"),
    batch_sizes: Annotated[
        list[str] | None, typer.Option("--batch-sizes", help="Clips a step: 8 16 32, or a range 8..64.")
    ] = None,
    epochs: Annotated[
        list[str] | None, typer.Option("--epochs", help="Passes over the data: 3 5, or 10..50.")
    ] = None,
    learning_rates: Annotated[
        list[str] | None, typer.Option("--learning-rates", help="Peak rates: 0.001 0.0005, or 1e-4..1e-2.")
    ] = None,
    dropouts: Annotated[
        list[str] | None, typer.Option("--dropouts", help="Of the last layer: 0.2 0.5, or 0.2..0.5.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML run file for all runs; the flags above win over it.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of every run, and of a search.")] = 0,
    patience: Annotated[
        int | None,
        typer.Option("--patience", min=0, help="Epochs without gain before a run stops."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda; cuda:0,cuda:1 gives runs out in turn.")
    ] = "auto",
    output_root: Annotated[
        Path, typer.Option("--output-root", "-o", help="Folder for one folder a run.")
    ] = Path("runs"),
    report: Annotated[
        Path | None,
        typer.Option("--report", help="JSON report, with a page beside it.  [OUTPUT_ROOT/sweep.json]"),
    ] = None,
    rerun: Annotated[
        list[str] | None, typer.Option("--rerun", help="Train complete runs again: all, or the named ones.")
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="macro_f1, micro_f1 or loss.")] = "macro_f1",
    trials: Annotated[
        int | None, typer.Option("--trials", help="Search with this many runs, instead of all combinations.")
    ] = None,
    search: Annotated[str | None, typer.Option("--search", help="tpe or random.  [tpe]")] = None,
    pruning: Annotated[
        str | None,
        typer.Option("--pruning", help="Stop runs that fall behind: median, hyperband or none.  [median]"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Runs at once.  [1; on a cluster: as many as fit]"),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="Run on a Ray cluster (RAY_ADDRESS, else here)."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Train every combination of settings, or search; runs that are complete are not trained again.

    Example: beatsight sweep --dataset dataset --batch-sizes 8 16 --epochs 3 5 --learning-rates 0.001 0.0005

    Example: beatsight sweep --learning-rates 1e-4..1e-2 --dropouts 0.2..0.5 --epochs 30 --trials 40
    """
    require("torch", "ml")
    from beatsight.report.page import write_page
    from beatsight.report.sweep import sweep_page
    from beatsight.train import sweep as sweeps

    if trials is None and (search or pruning):
        raise UsageError("--search and --pruning need --trials N")
    given = {"batch_size": batch_sizes, "epochs": epochs, "lr": learning_rates, "dropout": dropouts}
    fixed = {"--seed": str(seed)} | ({} if patience is None else {"--patience": str(patience)})
    settings = sweeps.SweepConfig(
        dataset=dataset,
        output_root=output_root,
        space={name: sweeps.parse_values(name, texts) for name, texts in given.items() if texts},
        fixed=fixed,
        config=config,
        devices=tuple(device.split(",")),
        metric=metric,
        workers=workers or 0,
        cluster=cluster,
        search=None if trials is None else sweeps.Search(trials, search or "tpe", pruning or "median", seed),
        rerun=tuple(rerun or ()),
    )
    target = report or output_root / "sweep.json"
    page = target.with_suffix(".html")
    if page == target:
        raise UsageError(f"--report {target}: the report is JSON, and its page lies beside it as .html")
    with progress_bar("Training") as progress:
        result = sweeps.sweep(settings, on_note=note, on_progress=progress)
    write_bytes(target, msgspec.json.format(msgspec.json.encode(result), indent=2))
    write_page(sweep_page(result, output_root), page)
    say(as_json, result, _prose(result, target, page))
    if failed := result.of("failed"):
        named = ", ".join(run.name for run in failed)
        whole = counted(len(result.runs), "run")
        raise InputError(f"{len(failed)} of {whole} failed, for the reasons in {target}: {named}")


def _prose(result: object, target: Path, page: Path) -> str:
    from beatsight.report.sweep_data import SweepReport

    assert isinstance(result, SweepReport)
    counts = ", ".join(
        f"{len(result.of(status))} {status}"
        for status in ("complete", "pruned", "failed")
        if result.of(status)
    )
    best = result.best
    won = "" if best is None else f"Best: {best.name} ({result.metric_text} {best.score:.3f}). "
    return f"{counts or 'Nothing to do'}. {won}Wrote {target} and {page}."
