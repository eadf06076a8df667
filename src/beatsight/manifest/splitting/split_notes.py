"""What there is to say of a finished split: shares, and in plain words what could not be balanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

LEFT_OUT = -1
# A share is noted when it is off by more than a quarter of what was wanted, and by more hits than rounding to
# whole sessions of rare labels explains.
_OFF_SHARE, _OFF_HITS = 0.25, 3
# More names than a reader takes in; the split of every session is in the result anyway.
_NAMES_SHOWN = 20


class Share(msgspec.Struct, frozen=True):
    """How many lie in a split, which part of all that were split this is, and which part was wanted."""

    count: int
    share: float
    wanted: float


def training_split(fractions: Mapping[str, float]) -> int:
    """Index of the split to train on: the one named ``train``, or the first."""
    names = list(fractions)
    return names.index("train") if "train" in names else 0


@dataclass(frozen=True)
class Outcome:
    """A finished split; every array has one row per session.

    Attributes:
        names, group, labels, counts, events, synthetic: as in
            :class:`beatsight.manifest.splitting.assign.SessionTable`.
        fractions: wanted share by split name.
        split: index of the split, or ``LEFT_OUT``.
    """

    names: list[str]
    group: np.ndarray
    labels: tuple[str, ...]
    counts: np.ndarray
    events: np.ndarray
    synthetic: np.ndarray
    fractions: dict[str, float]
    split: np.ndarray

    def shares(self, column: np.ndarray) -> dict[str, Share]:
        """How a column of the sessions (shape (n,)) is divided, by split name."""
        total = int(column[self.split != LEFT_OUT].sum())
        counts = [int(column[self.split == index].sum()) for index in range(len(self.fractions))]
        return {
            name: Share(count, count / total if total else 0.0, share)
            for (name, share), count in zip(self.fractions.items(), counts, strict=True)
        }

    def label_shares(self) -> dict[str, dict[str, Share]]:
        """How the hits of each label are divided, by label and split name."""
        return {label: self.shares(self.counts[:, k]) for k, label in enumerate(self.labels)}

    def group_notes(self) -> list[str]:
        """Empty splits, and splits that are far too large or too small."""
        kept = self.split != LEFT_OUT
        asked = [name for name, share in self.fractions.items() if share > 0]
        groups = len(np.unique(self.group[kept]))
        if groups == 1 and len(asked) > 1:
            sessions = int(kept.sum())
            which = "there is one session" if sessions == 1 else f"all {sessions} sessions are one group"
            return [f"{which}: nothing can be held out"]
        notes = []
        for name, share in self.shares(self.events).items():
            if not share.count and share.wanted:
                why = f": there are {_counted(groups, 'group')} for {len(asked)} splits"
                notes.append(f"{name} got nothing{why if groups < len(asked) else ''}")
            elif _is_off(share):
                notes.append(
                    f"{name} holds {_percent(share.share)} of the events, wanted {_percent(share.wanted)}"
                )
        return notes

    def label_notes(self) -> list[str]:
        """Labels whose share is far from what was wanted, and what training lacks."""
        training = list(self.fractions)[training_split(self.fractions)]
        notes = []
        for k, (label, shares) in enumerate(self.label_shares().items()):
            for name, share in shares.items():
                empty = not (self.split == list(self.fractions).index(name)).any()
                total = sum(other.count for other in shares.values())
                if empty or not total or not share.wanted:
                    continue
                lacks = name == training and not share.count
                if lacks or _is_off(share):
                    held = "none" if not share.count else _percent(share.share)
                    notes.append(
                        f"{name} holds {held} of the {label} hits, wanted {_percent(share.wanted)}: "
                        f"{self._where(k, total)}"
                    )
        return notes

    def _where(self, label: int, total: int) -> str:
        """Where the hits of a label lie."""
        kept = (self.split != LEFT_OUT) & (self.counts[:, label] > 0)
        groups, inverse = np.unique(self.group[kept], return_inverse=True)
        hits = np.bincount(inverse, weights=self.counts[kept, label])
        most = int(hits.max())
        size = int(((self.group == groups[np.argmax(hits)]) & (self.split != LEFT_OUT)).sum())
        biggest = f"lie in one group of {_counted(size, 'session')}"
        if len(groups) == 1:
            return f"all {total} {biggest}"
        if 2 * most > total:
            return f"{most} of {total} {biggest}"
        return f"all {total} lie in {len(groups)} groups"

    def synthetic_notes(self, cap: float | None) -> list[str]:
        """What was left out for the cap, and where it is exceeded all the same."""
        if cap is None:
            return []
        notes = []
        out = np.flatnonzero(self.split == LEFT_OUT)
        if len(out):
            wholly = int((self.synthetic == self.events).sum())
            names = _listed([self.names[i] for i in out])
            notes.append(
                f"left out {len(out)} of {_counted(wholly, 'synthetic session')} "
                f"({_counted(int(self.events[out].sum()), 'event')}), so that at most {_percent(cap)} of "
                f"each split is synthetic: {names}"
            )
        lost = [
            label
            for k, label in enumerate(self.labels)
            if self.counts[:, k].any() and not self.counts[self.split != LEFT_OUT, k].any()
        ]
        if lost:
            notes.append(f"with them went every hit of {_listed(lost)}")
        for index, name in enumerate(self.fractions):
            mine = self.split == index
            total, made = int(self.events[mine].sum()), int(self.synthetic[mine].sum())
            if made > cap * total:
                notes.append(
                    f"{name} is {_percent(made / total)} synthetic, over the cap of {_percent(cap)}: "
                    "the rest lies in sessions with real events, which are never left out"
                )
        return notes


def _is_off(share: Share) -> bool:
    """Whether a share is far from what was wanted."""
    total = share.count / share.share if share.share else 0.0
    hits = abs(share.count - share.wanted * total) if total else np.inf
    return abs(share.share - share.wanted) > _OFF_SHARE * share.wanted and hits > _OFF_HITS


def _percent(share: float) -> str:
    """A share as text.

    >>> _percent(0.021), _percent(0.1), _percent(1.0)
    ('2.1 %', '10 %', '100 %')
    """
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
