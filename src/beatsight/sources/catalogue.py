"""All sources by name. The readers are imported when the first source is asked for, not before."""

from __future__ import annotations

import difflib
import importlib
from functools import lru_cache

from beatsight.errors import UsageError
from beatsight.sources.contract import Source

# Modules of beatsight.sources.readers, in the order in which they are listed; each holds SOURCES.
_READERS = (
    "bsm", "midi", "audacity", "csv", "one_shots", "sfz_kits",
    "mdb_drums", "enst_drums", "idmt_smt_drums", "groove", "slakh2100",
)  # fmt: skip


@lru_cache(maxsize=1)
def all_sources() -> dict[str, Source]:
    """Every source by the name of its card, generic file formats first.

    >>> list(all_sources())[:4]
    ['bsm', 'midi', 'audacity', 'csv']
    """
    modules = [importlib.import_module(f"beatsight.sources.readers.{name}") for name in _READERS]
    return {source.card.name: source for module in modules for source in module.SOURCES}


def find_source(name: str) -> Source:
    """One source by name.

    Raises:
        UsageError: there is none of this name; the nearest one is suggested.
    """
    sources = all_sources()
    if name in sources:
        return sources[name]
    close = difflib.get_close_matches(name, sources, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known sources: {', '.join(sources)}"
    raise UsageError(f"unknown source {name!r}; {hint}")
