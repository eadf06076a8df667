"""``beatsight evaluate``: a model's scores on a dataset's split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.errors import require

if TYPE_CHECKING:
    from beatsight.report.evaluation_data import EvaluationReport

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder.")] = Path("dataset"),
    model: Annotated[Path, typer.Option("--model", help="Model file.")] = Path(
        "models/best_drum_classifier.pth"
    ),
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "val",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the report, its page and the predictions.")
    ] = Path("reports/evaluation"),
    label_issues: Annotated[
        bool, typer.Option("--label-issues", help="Also look for wrong labels (needs the extra cleanlab).")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Score a model on clips it did not train on: figures with intervals, and the hardest mistakes to hear.

    Example: beatsight evaluate --dataset dataset --model models/best_drum_classifier.pth --split val
    """
    require("torch", "ml")
    if label_issues:
        # Said before minutes of work, not after.
        require("cleanlab", "cleanlab")
    from beatsight.dataset.store import open_dataset
    from beatsight.evaluate import evaluate_model, find_label_issues, full_report, write_evaluation
    from beatsight.models.checkpoint import load_model
    from beatsight.models.precision import choose_device

    data = open_dataset(dataset)
    with progress_bar("Evaluating") as progress:
        result = evaluate_model(load_model(model, choose_device(device)), data, split, progress)
    issues = find_label_issues(result) if label_issues else None
    paths = [str(path) for path in write_evaluation(result, data, output, issues)]
    report = full_report(result, issues)
    for text in report.notes:
        note(f"note: {text}")
    if as_json:
        say(True, {**msgspec.to_builtins(report), "files": paths}, "")
        return
    Console().print(_table(report, f"{model} on {split}: {counted(report.moments, 'moment')}"))
    if issues is not None:
        found = sum(issue.flagged for issue in issues)
        typer.echo(f"{counted(found, 'moment')} counted as wrongly labelled, {len(issues)} to listen to.")
    note(f"wrote {', '.join(paths)}")


def _table(report: EvaluationReport, title: str) -> Table:
    table = Table(title=title)
    sure = f"{report.resampling.confidence:.0%} int."
    names = ("class", "precision", "recall", "F1", sure, "support", "thresh.")
    for name in names:
        table.add_column(name, justify="left" if name == "class" else "right", no_wrap=True)
    for label, row in report.per_class.items():
        rates = [f"{rate:.3f}" for rate in (row.precision, row.recall, row.f1)]
        table.add_row(label, *rates, _ends(row.f1_interval), str(row.support), f"{row.threshold:.2f}")
    averages = {
        "macro": (report.macro_precision, report.macro_recall, report.macro_f1, "macro_f1"),
        "micro": (report.micro_precision, report.micro_recall, report.micro_f1, "micro_f1"),
    }
    for name, (precision, recall, f1, key) in averages.items():
        rates = [f"{rate:.3f}" for rate in (precision, recall, f1)]
        table.add_row(name, *rates, _ends(report.intervals[key]), "", "", style="bold")
    table.add_row(
        "macro, present", "", "", f"{report.macro_f1_present:.3f}",
        _ends(report.intervals["macro_f1_present"]), "", "", style="bold",
    )  # fmt: skip
    return table


def _ends(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.2f}–{interval[1]:.2f}"
