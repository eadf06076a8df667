"""Models as ``.safetensors``: tensors that any program can map into memory, and no pickle at all.

The tensors are the network's weights under their names. The file's metadata has one key, ``beatsight``, whose
value is the rest of the model's dictionary (:mod:`beatsight.models.content`) as JSON; one key, because the
format keeps no order among several, and equal models are to give equal bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from beatsight.errors import InputError, require
from beatsight.files import write_bytes
from beatsight.models.content import content_of
from beatsight.models.model import Model

SAFETENSORS = ".safetensors"
_KEY = "beatsight"


def write_safetensors(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as safetensors, aside and renamed; equal models give equal bytes.

    Raises:
        MissingDependencyError: ``safetensors`` is not installed.
        InputError: the file cannot be written.
    """
    require("safetensors", "safetensors")
    from safetensors.torch import save

    content = content_of(model)
    weights = content.pop("weights")
    write_bytes(path, save(weights, metadata={_KEY: json.dumps(content)}))


def read_content(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A model's dictionary from a safetensors file; that its values make sense is for the caller to check.

    Raises:
        MissingDependencyError: ``safetensors`` is not installed.
        InputError: damaged, or not a model of beatsight.
    """
    safetensors: Any = require("safetensors", "safetensors")
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, RuntimeError, ValueError, LookupError) as error:
        raise InputError(f"{path}: is damaged or not a safetensors file") from error
    if _KEY not in metadata:
        raise InputError(f"{path}: holds tensors, but no description of a beatsight model")
    try:
        content = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its description of the model is not JSON") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: its description of the model is not a JSON object")
    return {**content, "weights": weights}
