"""What a release must hold, read from flags and files, under canonical names.

A name that neither the taxonomy nor the list of ``components`` knows is kept: its gate fails and says so. A
name that is required twice, also by an alias, is one requirement with the higher minimum.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.files import read_bytes, read_text
from beatsight.gates.inputs import canonical

# Keys under which an entry of a list of components may hold its name, in this order.
_NAME_KEYS = ("name", "label", "id")


@dataclass(frozen=True)
class Vocabulary:
    """The labels that are known: those of the taxonomy, or those of a list.

    Attributes:
        names: the labels of the list under canonical names; None for the taxonomy.
    """

    names: tuple[str, ...] | None = None

    def knows(self, label: str) -> bool:
        """Whether a label, or the name it is an alias of, is known."""
        if self.names is None:
            return taxonomy.is_known(label)
        return canonical(label) in self.names

    def remark(self, label: str) -> str:
        """Why a label is not known, and what may be meant."""
        if self.names is None:
            try:
                taxonomy.resolve(label)
            except taxonomy.UnknownLabelError as error:
                _, _, hint = str(error).partition("; did")
                return "the taxonomy does not know it" + (f"; did{hint}" if hint else "")
        close = difflib.get_close_matches(label, self.names or (), n=1, cutoff=0.6)
        return "the list of components does not hold it" + (f"; did you mean {close[0]!r}?" if close else "")


@dataclass(frozen=True)
class Requirement:
    """One name that must occur at least so often.

    Attributes:
        name: the canonical name, or the name as given where it is unknown.
        least: how often.
        fault: why it is unknown, empty where it is known.
    """

    name: str
    least: int = 1
    fault: str = ""


def _json(path: Path) -> Any:
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path}: is empty")
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from None


def read_components(path: Path) -> Vocabulary:
    """The labels of a JSON file: a list of names, ``{"components": [...]}``, or an object keyed by name.

    An entry of a list is a name, or an object with ``name``, ``label`` or ``id``.

    Raises:
        InputError: it cannot be read, holds no labels, or an entry without a name.
    """
    content = _json(path)
    if isinstance(content, dict) and isinstance(content.get("components"), list | dict):
        content = content["components"]
    if not isinstance(content, list | dict):
        raise InputError(f"{path}: is no list of labels and no object keyed by them")
    names = []
    for index, entry in enumerate(content):
        if isinstance(entry, dict):
            entry = next((entry[key] for key in _NAME_KEYS if key in entry), None)
        if not isinstance(entry, str) or not entry.strip():
            raise InputError(f"{path}: entry {index + 1} has no name (name, label or id)")
        names.append(canonical(entry))
    if not names:
        raise InputError(f"{path}: holds no labels")
    return Vocabulary(tuple(dict.fromkeys(names)))


def read_names(path: Path) -> list[str]:
    """The names of a text file, one a line; what follows a ``#`` is a comment.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    lines = (line.partition("#")[0].strip() for line in read_text(path).splitlines())
    if not (names := [line for line in lines if line]):
        raise InputError(f"{path}: holds no names")
    return names


def read_min_counts(path: Path) -> dict[str, int]:
    """Label → least hits.

    Raises:
        InputError: it cannot be read, is empty, or holds something else (named).
    """
    content = _json(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: is no object of labels and counts")
    for label, count in content.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InputError(f"{path}: {label}: is no whole number from 0, but {count!r}")
    return content


def required(counts: Mapping[str, int], resolve: Callable[[str], tuple[str, str]]) -> list[Requirement]:
    """Requirements by canonical name, each once, in the order in which they were given.

    Args:
        counts: least count of each name as given.
        resolve: a name as given → its canonical name, and why it is unknown (empty where it is not).
    """
    found: dict[str, Requirement] = {}
    for given, least in counts.items():
        name, fault = resolve(given)
        before = found.get(name)
        found[name] = Requirement(name, max(least, before.least) if before else least, fault)
    return list(found.values())


def required_labels(counts: Mapping[str, int], vocabulary: Vocabulary) -> list[Requirement]:
    """As :func:`required`, of labels.

    >>> required_labels({"ride": 2, "ride_bow": 5}, Vocabulary())
    [Requirement(name='ride_bow', least=5, fault='')]
    """

    def resolve(label: str) -> tuple[str, str]:
        return canonical(label), "" if vocabulary.knows(label) else vocabulary.remark(label)

    return required(counts, resolve)


def required_techniques(names: Iterable[str]) -> list[Requirement]:
    """As :func:`required`, of techniques that must occur once.

    >>> [one.name for one in required_techniques(["Hi-Hat Bark", "hihat_bark", "flam"])]
    ['hihat_bark', 'flam']
    """

    def resolve(name: str) -> tuple[str, str]:
        try:
            return taxonomy.resolve_technique(name), ""
        except InputError as error:
            _, _, hint = str(error).partition("; did")
            return name, "the catalogue does not know it" + (f"; did{hint}" if hint else "")

    return required(dict.fromkeys(names, 1), resolve)
