"""Where a run's figures go beside its own files: Weights & Biases and TensorBoard, for those who use them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from beatsight.errors import InputError, UsageError, require
from beatsight.files import read_text, write_text
from beatsight.train.state import EpochResult

# In the output folder; a resumed run goes on under the id in it.
RUN_ID_NAME = "wandb_run_id.txt"
_MODES = ("online", "offline", "disabled")


class Tracker(Protocol):
    """What takes a run's figures."""

    def log(self, result: EpochResult) -> None:
        """Take one epoch's figures."""

    def finish(self, checkpoints: Sequence[Path]) -> None:
        """Take the model files and close the run."""


class WandbRun:
    """One run on Weights & Biases.

    Args:
        project: its project.
        entity: team or user, or None for the account's own.
        tags: labels of the run.
        mode: ``online``, ``offline`` (files under ``./wandb`` to be synchronised later) or ``disabled``.
        config: settings to show beside the run.
        output: the run's folder, which remembers the run's id.
        resume: go on under the id that the folder remembers, if it does.

    Raises:
        MissingDependencyError: the package is not installed.
        UsageError: no such mode.
        InputError: Weights & Biases does not take the run (no account, no network).
    """

    def __init__(
        self,
        project: str,
        entity: str | None,
        tags: Sequence[str],
        mode: str | None,
        config: dict[str, Any],
        *,
        output: str | os.PathLike[str],
        resume: bool = False,
    ) -> None:
        if mode is not None and mode not in _MODES:
            raise UsageError(f"--wandb-mode is one of {', '.join(_MODES)}, not {mode!r}")
        self._wandb: Any = require("wandb", "wandb")
        remembered = Path(output) / RUN_ID_NAME
        known = read_text(remembered).strip() if resume and remembered.is_file() else None
        try:
            self._run = self._wandb.init(
                project=project, entity=entity, tags=list(tags), mode=mode, config=config, job_type="train",
                id=known, resume="allow" if known else None,
            )  # fmt: skip
        except self._wandb.errors.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"Weights & Biases did not start the run: {reason}; --wandb-mode offline needs no network"
            ) from error
        write_text(remembered, f"{self._run.id}\n")

    def log(self, result: EpochResult) -> None:
        """Send one epoch's figures."""
        self._run.log(msgspec.to_builtins(result), step=result.epoch)

    def finish(self, checkpoints: Sequence[Path]) -> None:
        """Attach the model files and close the run."""
        artifact = self._wandb.Artifact("drum-classifier", type="model")
        for path in checkpoints:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)
        self._run.finish()


class TensorBoardRun:
    """Curves for ``tensorboard --logdir``; a resumed run goes on with those in the folder.

    Args:
        folder: for its event files.

    Raises:
        MissingDependencyError: the package is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        require("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def log(self, result: EpochResult) -> None:
        """Add one epoch to the curves."""
        for name, value in msgspec.to_builtins(result).items():
            if name != "epoch" and value is not None:
                self._writer.add_scalar(name, value, result.epoch)
        self._writer.flush()

    def finish(self, checkpoints: Sequence[Path]) -> None:
        """Close the files; TensorBoard keeps no models."""
        self._writer.close()
