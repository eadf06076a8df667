"""Drum words in file names: the fallback for folders of one-shots that no layout describes.

A name is cut into words (at separators, between letters and digits, before a capital) and the longest runs
of words that the taxonomy or ``words.toml`` knows decide. The file's own name speaks first, then its folders
from the inside out; words that nothing knows are ignored. Two different drums in one name, or a word that
means "not one drum hit" (a loop, a conga), give no label but a reason. A number right after a word belongs to
the instrument ("tom 2", "crash2") unless it starts with a zero: "crash_02" is the second take of one crash.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from beatsight.files import read_text
from beatsight.taxonomy import is_known, resolve

# The reason of a name that says nothing, as against one that says something else than a single hit.
NO_DRUM = "its name holds no drum that the taxonomy knows"
# The longest aliases of the taxonomy and of words.toml ("hihat closed tip").
_MAX_WORDS = 3
_WORD = re.compile(r"\d+|[^\W\d_]+")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LAYER = re.compile(r"(?:^|(?<=[\W_]))(?:vl|vel|layer)[ _-]?(\d+)(?=[\W_]|$)", re.IGNORECASE)
_TAKE = re.compile(r"(?:^|(?<=[\W_]))rr[ _-]?(\d+)(?=[\W_]|$)", re.IGNORECASE)
_DYNAMICS = {"soft": 1, "medium": 2, "med": 2, "hard": 3}


class Named(NamedTuple):
    """What a path says: a label or the reason for none, the velocity layer if any, and the variant's name."""

    label: str | None
    reason: str
    layer: int | None
    variant: str


class _Words(NamedTuple):
    names: dict[str, str]
    weak: dict[str, str]
    not_a_hit: frozenset[str]
    too_vague: frozenset[str]


@lru_cache(maxsize=1)
def _words() -> _Words:
    raw = tomllib.loads(read_text(Path(__file__).with_name("words.toml")))
    names, weak = (
        {alias: resolve(label) for label, aliases in raw[table].items() for alias in aliases}
        for table in ("names", "weak")
    )
    lists = (frozenset(raw[table]["words"]) for table in ("not_a_hit", "too_vague"))
    return _Words(names, weak, *lists)


def _split(text: str) -> list[str]:
    return _WORD.findall(_CAPITAL.sub(" ", text).lower())


def _label(words: Sequence[str], weak: bool) -> str | None:
    for key in ("_".join(words), "".join(words)):
        for form in (key, key.removesuffix("s")):
            if form in _words().names:
                return _words().names[form]
            if is_known(form) and form not in _words().too_vague:
                return resolve(form)
            if weak and form in _words().weak:
                return _words().weak[form]
    return None


def _labels(words: Sequence[str], weak: bool = False) -> tuple[set[str], int]:
    """Labels of the longest known runs, left to right without overlap, and how many words they used."""
    found: set[str] = set()
    used = start = 0
    while start < len(words):
        for size in range(min(_MAX_WORDS, len(words) - start), 0, -1):
            if words[start].isalpha() and (label := _label(words[start : start + size], weak)):
                found.add(label)
                used += size
                start += size - 1
                break
        start += 1
    return found, used


def _name_labels(text: str, weak: bool = False) -> set[str]:
    words = _split(text)
    # Takes 01, 02, … must not become "tom 1" or "crash 2", unless the word alone says nothing ("Tom01").
    found, _ = _labels([word for word in words if not word.startswith("0")], weak)
    if not found:
        found, _ = _labels([word.lstrip("0") or "0" for word in words], weak)
    return found


def names_a_drum(text: str) -> bool:
    """Whether every word of a folder's name (numbers aside) belongs to one drum, as in ``Snares 2``.

    >>> names_a_drum("Floor Tom"), names_a_drum("Snares_02"), names_a_drum("Crash Test Kit")
    (True, True, False)
    """
    words = [word for word in _split(text) if word.isalpha()]
    found, used = _labels(words)
    if not found:
        found, used = _labels(_split(text))
        words = _split(text)
    return len(found) == 1 and used == len(words)


def read_name(path: PurePosixPath, root_name: str = "") -> Named:
    """What the name of a one-shot says.

    Args:
        path: relative to the kit folder.
        root_name: name of the kit folder, where it may speak for its files; empty where it may not.

    >>> read_name(PurePosixPath("Snare/05.wav")).label, read_name(PurePosixPath("kick_snare.wav")).reason
    ('snare', 'names more than one drum: kick, snare')
    """
    stem = path.stem
    words = _split(stem)
    layer_match = _LAYER.search(stem)
    layer = int(layer_match.group(1)) if layer_match else None
    if layer is None:
        layer = next((_DYNAMICS[word] for word in words if word in _DYNAMICS), None)
    bare = _TAKE.sub("", _LAYER.sub("", stem))
    variant = "_".join(word for word in _split(bare) if word not in _DYNAMICS).rstrip("0123456789_")
    folders = [*reversed(path.parent.parts), root_name]
    variant = variant or "_".join(_split(next((name for name in folders if name), "")))
    for text in (bare, *folders):
        if blocked := _words().not_a_hit.intersection(_split(text)):
            return Named(None, f"is not one hit of a known drum: {sorted(blocked)[0]}", layer, variant)
    sources = [_name_labels(bare), *(_name_labels(folder) for folder in folders)]
    for found in (*sources, _name_labels(bare, weak=True)):
        if len(found) > 1:
            return Named(None, f"names more than one drum: {', '.join(sorted(found))}", layer, variant)
        if found:
            return Named(found.pop(), "", layer, variant)
    return Named(None, NO_DRUM, layer, variant)
