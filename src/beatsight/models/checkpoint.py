"""The model file ``.pth``: one dictionary of tensors and plain values, loaded without running code.

Keys: ``format``, ``format_version``, ``architecture``, ``config``, ``features``, ``vocabulary``, ``labels``,
``taxonomy_digest``, ``activation`` (sigmoid or softmax), ``thresholds`` per label, ``calibration``,
``training`` (a summary), ``program_version``, ``weights``. Files are read with ``weights_only=True``; one
that holds anything else, another taxonomy or other shapes is refused, and so is one that would unpack to more
than its own size. A bare state dict of the 12-class network loads too, with a warning: it says nothing of its
labels, features or thresholds. The same dictionary as ``.safetensors`` is read by
:mod:`beatsight.models.tensor_file`.
"""

from __future__ import annotations

import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from beatsight.errors import InputError
from beatsight.files import atomic_path
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.content import FORMAT, check_weights, content_of, filled, model_of
from beatsight.models.model import Heard, Model
from beatsight.models.tensor_file import SAFETENSORS, read_content

__all__ = ["Heard", "Model", "load_model", "read_weights", "save_model"]

# Everything that damaged bytes were seen to raise in torch's reader.
_DAMAGE = (
    RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError,
    ArithmeticError, MemoryError, zipfile.BadZipFile,
)  # fmt: skip
# What torch's reader takes for an archive; else it reads the older format, which is not compressed.
_ZIP = b"PK\x03\x04"


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, aside and renamed; equal models give equal bytes."""
    content = content_of(model)
    # Through a stream: given a path, torch writes the (temporary) file name into the archive.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(content, stream)


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Model:
    """Read a model file, ``.pth`` or ``.safetensors``.

    Raises:
        InputError: missing, truncated, not a model, holds code, or does not fit this program.
    """
    path = Path(path)
    content = _read(path)
    try:
        if _is_model(content):
            model = model_of(content)
        elif all(isinstance(value, Tensor) for value in content.values()):
            model = _from_bare(content)
        else:
            raise InputError("is not a beatsight model file")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not _is_model(content):
        warnings.warn(
            f"{path}: is a bare state dict; its labels, features and thresholds are assumed to be the "
            "defaults",
            stacklevel=2,
        )
    model.network.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.network.eval()
    return model


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights of a model file or bare state dict, whatever network they belong to.

    Raises:
        InputError: missing, truncated, or holds anything but tensors by name.
    """
    content = _read(Path(path))
    weights = content.get("weights") if _is_model(content) else content
    named = isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    )
    if not named or not weights:
        raise InputError(f"{path}: holds no weights by name")
    try:
        return check_weights(weights)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _is_model(content: dict[str, Any]) -> bool:
    kind = content.get("format")
    return isinstance(kind, str) and kind == FORMAT


def _read(path: Path) -> dict[str, Any]:
    """What a model file holds, without running anything in it."""
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix == SAFETENSORS:
        return read_content(path)
    try:
        _refuse_packed(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: is not a model file, or holds code that will not be run") from error
    except _DAMAGE as error:
        raise InputError(f"{path}: is damaged or not a model file") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: is not a model file (it holds no dictionary)")
    _refuse_larger_than(path, content)
    return content


def _refuse_packed(path: Path) -> None:
    """A model file is an archive without compression; a compressed one could unpack to any size."""
    with path.open("rb") as stream:
        if stream.read(len(_ZIP)) != _ZIP:
            return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > path.stat().st_size:
        raise InputError(f"{path}: is a compressed archive, which no model file is")


def _refuse_larger_than(path: Path, content: dict[str, Any]) -> None:
    """A few bytes can be called a tensor of any shape (by strides of 0), and be copied at that size."""
    weights = content.get("weights")
    groups = [content, weights] if isinstance(weights, dict) else [content]
    tensors = [value for group in groups for value in group.values() if isinstance(value, Tensor)]
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > path.stat().st_size:
        raise InputError(f"{path}: its weights claim to be larger than the file")


def _from_bare(state: dict[str, Tensor]) -> Model:
    """A state dict without its story: matched by shape in order, for layer names differ between programs."""
    with torch.device("meta"):
        own = DrumClassifierCNN().state_dict()
    if [tuple(value.shape) for value in state.values()] != [tuple(value.shape) for value in own.values()]:
        raise InputError("is a bare state dict that does not fit the 12-class DrumClassifierCNN")
    weights = check_weights(dict(zip(own, state.values(), strict=True)))
    return Model(filled(ClassifierConfig(), weights), activation="softmax")
