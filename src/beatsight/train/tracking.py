"""Weights & Biases, for those who use it: metrics per epoch, checkpoints as artifacts at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from beatsight.errors import InputError, UsageError, require
from beatsight.train.loop import EpochResult

_MODES = ("online", "offline", "disabled")


class WandbRun:
    """One run on Weights & Biases.

    Args:
        project: its project.
        entity: team or user, or None for the account's own.
        tags: labels of the run.
        mode: ``online``, ``offline`` (files under ``./wandb`` to be synchronised later) or ``disabled``.
        config: settings to show beside the run.

    Raises:
        MissingDependencyError: the package is not installed.
        UsageError: no such mode.
        InputError: Weights & Biases does not take the run (no account, no network).
    """

    def __init__(
        self, project: str, entity: str | None, tags: Sequence[str], mode: str | None, config: dict[str, Any]
    ) -> None:
        if mode is not None and mode not in _MODES:
            raise UsageError(f"--wandb-mode is one of {', '.join(_MODES)}, not {mode!r}")
        self._wandb: Any = require("wandb", "wandb")
        try:
            self._run = self._wandb.init(
                project=project, entity=entity, tags=list(tags), mode=mode, config=config, job_type="train"
            )
        except self._wandb.errors.Error as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise InputError(
                f"Weights & Biases did not start the run: {reason}; --wandb-mode offline needs no network"
            ) from error

    def log(self, result: EpochResult) -> None:
        """Send one epoch's metrics."""
        self._run.log(msgspec.to_builtins(result), step=result.epoch)

    def finish(self, checkpoints: Sequence[Path]) -> None:
        """Attach the checkpoints and close the run."""
        artifact = self._wandb.Artifact("drum-classifier", type="model")
        for path in checkpoints:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)
        self._run.finish()
