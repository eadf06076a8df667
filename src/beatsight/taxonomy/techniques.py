"""The technique catalogue: drumming techniques and timing feels that an event may be tagged with.

The catalogue is a JSON file (``technique_taxonomy.json``, schema in docs/formats.md). Older data folders
hold only a text list, ``additionaldrummertech.txt``: one ``id: short description`` or bare name a line;
lines that start with ``#`` are comments. The list is read only where the JSON file is missing; a JSON file
with a fault is an error, never a reason to fall back. Names follow the Percussive Arts Society's forty
rudiments and common drum-set usage.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from beatsight.errors import InputError
from beatsight.files import read_text

CATALOGUE_NAME = "technique_taxonomy.json"
LEGACY_NAME = "additionaldrummertech.txt"
# The family of a technique that comes from a text list, which names none.
LEGACY_FAMILY = "unsorted"

_PACKAGED = Path(__file__).with_name(CATALOGUE_NAME)
# How alike (difflib ratio, 0..1) a known name must be to be suggested; the same as for labels.
_SUGGESTION_CUTOFF = 0.5

SnakeCase = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")]


class Technique(msgspec.Struct, frozen=True, kw_only=True):
    """One technique: its id (what events carry), family, priority, other names and meaning."""

    id: SnakeCase
    family: SnakeCase
    priority: Literal["high", "medium", "low"]
    description: Annotated[str, Meta(min_length=1)]
    aliases: tuple[SnakeCase, ...] = ()


class _Catalogue(msgspec.Struct, frozen=True):
    schema_version: str
    description: str
    techniques: tuple[Technique, ...]


def _key(name: str) -> str:
    """Lower case, every run of other characters one underscore, ``hi_hat`` as ``hihat``."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return re.sub(r"(^|_)hi_hat(?=_|$)", r"\1hihat", words)


def _checked(techniques: Iterable[Technique], source: Path) -> dict[str, Technique]:
    """The techniques by id, once every name in them means exactly one technique."""
    catalogue: dict[str, Technique] = {}
    owners: dict[str, str] = {}
    for technique in techniques:
        if technique.id in catalogue:
            raise InputError(f"{source}: technique {technique.id!r} is listed twice")
        catalogue[technique.id] = technique
        for name in (technique.id, *technique.aliases):
            owner = owners.setdefault(_key(name), technique.id)
            if owner != technique.id:
                raise InputError(f"{source}: the name {name!r} means both {owner!r} and {technique.id!r}")
    if not catalogue:
        raise InputError(f"{source}: holds no techniques")
    return catalogue


def _read_json(path: Path) -> dict[str, Technique]:
    try:
        catalogue = msgspec.json.decode(read_text(path), type=_Catalogue)
    except msgspec.ValidationError as error:
        why, _, field = str(error).replace("`", "").partition(" - at $.")
        raise InputError(f"{path}: {field}: {why}" if field else f"{path}: {why}") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from None
    return _checked(catalogue.techniques, path)


def _read_list(path: Path) -> dict[str, Technique]:
    techniques = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, _, description = (part.strip() for part in text.partition(":"))
        raw = {
            "id": _key(name),
            "family": LEGACY_FAMILY,
            "priority": "medium",
            "description": description or name,
        }
        try:
            techniques.append(msgspec.convert(raw, Technique))
        except msgspec.ValidationError:
            raise InputError(f"{path}:{number}: {name!r} is not a technique name") from None
    return _checked(techniques, path)


@lru_cache(maxsize=1)
def _packaged() -> dict[str, Technique]:
    return load_techniques(_PACKAGED)


def load_techniques(path: str | os.PathLike[str] | None = None) -> dict[str, Technique]:
    """All techniques of a catalogue by id, in the order of the file.

    Args:
        path: a catalogue in JSON, or a text list (``.txt``). Without it: the packaged catalogue. Where the
            JSON file does not exist, ``additionaldrummertech.txt`` beside it is read.

    Raises:
        InputError: neither file exists, or the one that was read has a fault (named).

    >>> load_techniques()["hihat_bark"].family
    'hihat'
    """
    if path is None:
        return dict(_packaged())
    path = Path(path)
    if path.suffix == ".txt":
        return _read_list(path)
    if path.exists():
        return _read_json(path)
    legacy = path.with_name(LEGACY_NAME)
    if not legacy.exists():
        raise InputError(f"{path}: does not exist, and neither does {LEGACY_NAME} beside it")
    return _read_list(legacy)


def technique_families() -> dict[str, tuple[str, ...]]:
    """The ids of the packaged techniques by family, families and ids in the order of the catalogue.

    >>> "hihat_bark" in technique_families()["hihat"]
    True
    """
    families: dict[str, list[str]] = {}
    for technique in _packaged().values():
        families.setdefault(technique.family, []).append(technique.id)
    return {family: tuple(ids) for family, ids in families.items()}


@lru_cache(maxsize=1)
def _ids_by_name() -> MappingProxyType[str, str]:
    names = {_key(name): one.id for one in _packaged().values() for name in (one.id, *one.aliases)}
    return MappingProxyType(names)


def resolve_technique(name: str) -> str:
    """The id of a packaged technique from its id or an alias, whatever its case or separators.

    Raises:
        InputError: no technique has this name; the nearest known name is suggested.

    >>> resolve_technique("Hi-Hat Bark"), resolve_technique("press roll")
    ('hihat_bark', 'buzz_roll')
    """
    key = _key(name)
    names = _ids_by_name()
    if key in names:
        return names[key]
    close = difflib.get_close_matches(key, names, n=1, cutoff=_SUGGESTION_CUTOFF)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"unknown technique {name!r}{hint}")
