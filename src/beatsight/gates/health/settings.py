"""What the gate ``health`` reads and asks for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from beatsight.errors import UsageError

Group = Literal["drummer", "kit", "room", "session"]
GROUPS: tuple[Group, ...] = ("drummer", "kit", "room", "session")
_Name = Annotated[str, Meta(min_length=1)]


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate reads and asks for; a threshold that is None or an empty list asks for nothing.

    Attributes:
        events: manifests of any format, judged together.
        components: JSON list of the labels that are known; default: the taxonomy's.
        dataset_metadata: ``metadata.json`` with the durations of a built dataset.
        split: ``split.json``, or a ``metadata.json`` that lists the sessions of each split.
        audio_root: folder that audio paths start from; implies ``check_audio``.
        check_audio: listen to every recording; without ``audio_root`` paths start at the manifest's folder.
        isolate: what may not stand in two splits, where a split is given.
        max_duplication_rate: greatest share of events (with audio also: of recordings) that repeat another.
        min_class_count: least hits of every label of ``components``, or else of every label observed.
        max_unknown_labels: most hits with unknown labels.
        require_technique, require_techniques_file: techniques that some event must have.
        require_label, require_labels_file: labels that some hit must have.
        min_counts_json: label → least hits.
        max_clipped_share: greatest share of recordings that are clipped.
        max_dc: greatest DC offset of a recording, full scale being 1.

    Raises:
        UsageError: a threshold is outside its range, or asks for sound that is not to be listened to.
    """

    events: list[Path]
    components: Path | None = None
    dataset_metadata: Path | None = None
    split: Path | None = None
    audio_root: Path | None = None
    check_audio: bool = False
    isolate: list[Group] = msgspec.field(default_factory=lambda: list(GROUPS))
    max_duplication_rate: float | None = None
    min_class_count: int | None = None
    max_unknown_labels: int | None = None
    require_technique: list[_Name] = []
    require_techniques_file: Path | None = None
    require_label: list[_Name] = []
    require_labels_file: Path | None = None
    min_counts_json: Path | None = None
    max_clipped_share: float | None = None
    max_dc: float | None = None

    def __post_init__(self) -> None:
        if not self.events:
            raise UsageError("events: at least one manifest is needed")
        for name in ("max_duplication_rate", "max_clipped_share", "max_dc"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 <= value <= 1):
                raise UsageError(f"{name} must be in 0..1, got {value:g}")
        for name in ("min_class_count", "max_unknown_labels"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"{name} must not be negative, got {value}")
        for name in ("max_clipped_share", "max_dc"):
            if getattr(self, name) is not None and not self.listens:
                raise UsageError(f"{name} needs check_audio: without the sound it cannot be known")
        if unknown := [name for name in self.isolate if name not in GROUPS]:
            raise UsageError(f"isolate: {unknown[0]!r} is none of {', '.join(GROUPS)}")
        if tuple(self.isolate) != GROUPS and self.split is None:
            raise UsageError("isolate needs split: there is nothing to be isolated otherwise")
        if not self.isolate:
            raise UsageError("isolate: names nothing that is to be isolated")

    @property
    def listens(self) -> bool:
        """Whether the recordings are decoded."""
        return self.check_audio or self.audio_root is not None
