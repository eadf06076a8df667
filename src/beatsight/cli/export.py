"""``beatsight export``: a model in other formats, and its model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import say
from beatsight.errors import UsageError, require
from beatsight.files import write_text

app = typer.Typer(add_completion=False)


@app.command()
def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file: .pth or .safetensors.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write: .onnx, .safetensors or .pth.")
    ] = None,
    card: Annotated[Path | None, typer.Option("--card", help="Write the model card (Markdown) here.")] = None,
    takes: Annotated[
        str, typer.Option("--input", help="What an ONNX file takes: clips of audio, or log-mel features.")
    ] = "audio",
    evaluation: Annotated[
        Path | None, typer.Option("--evaluation", help="evaluation.json of this model, for the card.")
    ] = None,
    bootstrap: Annotated[
        Path | None, typer.Option("--bootstrap", help="Report of gate bootstrap, for the card.")
    ] = None,
    provenance: Annotated[
        list[Path] | None,
        typer.Option("--provenance", help="Provenance file of a source, for the card; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Write a model as ONNX or safetensors, back as .pth, or its model card.

    An ONNX file is kept only if onnxruntime gives the model's answers within 0.0001; it carries the card. Of
    a transcriber, ONNX is the only other format.

    Example: beatsight export models/best_drum_classifier.pth -o drums.onnx

    Example: beatsight export best.pth --card MODEL_CARD.md --evaluation evaluation.json
    """
    from beatsight.transcription.choice import is_song_model

    if model.is_file() and is_song_model(model):
        if card or evaluation or bootstrap or provenance or takes != "audio":
            raise UsageError(f"{model}: of a transcriber only -o FILE.onnx can be written, and no card")
        _export_transcriber(model, output, as_json)
        return
    require("torch", "ml")
    from beatsight.models.card import model_card
    from beatsight.models.card_facts import facts_of
    from beatsight.models.checkpoint import load_model, save_model
    from beatsight.models.export import ONNX, TAKES, export_onnx
    from beatsight.models.tensor_file import SAFETENSORS, write_safetensors

    kind = "" if output is None else output.suffix.lower()
    if output is None and card is None:
        raise UsageError(
            "nothing to write: give -o FILE.onnx, -o FILE.safetensors, -o FILE.pth or --card FILE"
        )
    if output is not None and kind not in (ONNX, SAFETENSORS, ".pth"):
        raise UsageError(f"{output}: unknown model format; known: {ONNX}, {SAFETENSORS}, .pth")
    if card is None and kind != ONNX and (evaluation or bootstrap or provenance):
        raise UsageError("--evaluation, --bootstrap and --provenance are for a model card: give --card FILE")
    if takes not in TAKES:
        raise UsageError(f"--input is {' or '.join(TAKES)}, not {takes!r}")
    if takes != TAKES[0] and kind != ONNX:
        raise UsageError("--input is for an ONNX file: give -o FILE.onnx")
    loaded = load_model(model)
    text = model_card(loaded, facts_of(loaded, evaluation, bootstrap, provenance or ()))
    difference = None
    if output is not None and kind == ONNX:
        difference = export_onnx(loaded, output, takes, text)
    elif output is not None and kind == SAFETENSORS:
        write_safetensors(loaded, output)
    elif output is not None:
        save_model(loaded, output)
    if card is not None:
        write_text(card, text)
    files = [str(path) for path in (output, card) if path is not None]
    checked = "" if difference is None else f" (onnxruntime agrees within {difference:.1g})"
    answer = {"files": files, "largest_difference": difference}
    say(as_json, answer, f"Wrote {' and '.join(files)}{checked}.")


def _export_transcriber(model: Path, output: Path | None, as_json: bool) -> None:
    """A transcriber as ONNX, seen to agree on planted levels."""
    import numpy as np

    from beatsight.audio.frames import FLOOR_DB
    from beatsight.models.song_model import read_song_model
    from beatsight.models.song_onnx import export_song_onnx
    from beatsight.transcription.engine import Engine

    if output is None or output.suffix.lower() != ".onnx":
        raise UsageError(f"{model}: is a transcriber, which is written as -o FILE.onnx")
    loaded = read_song_model(model)
    before, after = loaded.network.context()
    # Noise of every level over more frames than the network sees at once.
    rng = np.random.default_rng(0)
    rows = before + after + 200
    level = rng.uniform(FLOOR_DB, 20.0, (rows, 1)) + rng.normal(0.0, 10.0, (rows, loaded.network.bands))
    levels = np.maximum(level, FLOOR_DB).astype(np.float32)
    difference = export_song_onnx(loaded, output, levels, Engine(loaded).activations(levels))
    answer = {"files": [str(output)], "largest_difference": difference}
    say(as_json, answer, f"Wrote {output} (onnxruntime agrees within {difference:.1g}).")
