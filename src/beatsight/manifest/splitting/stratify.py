"""Groups of unequal sizes into splits of wanted shares, every label divided like the whole.

First pass: iterative stratification after Sechidis, Tsoumakas and Vlahavas, "On the stratification of
multi-label data" (ECML PKDD 2011): the rarest label first, and each group that holds it to the split that
lacks it most. It deviates where groups replace single examples: of one label, the groups with more hits go
first (within a factor of two, in seeded order), so that a giant lands where there is room for it.

Then two promises are kept: the training split holds every label, and no wanted split stays empty (which wins
where they collide). Last, single moves and swaps of two groups lower the loss

    sum over splits s of 1 / f_s · (sum over columns k of w_k · (share_sk - f_s)²)

where f_s is the wanted share of split s and share_sk the part of column k (a label's hits, all events,
synthetic events) that lies in it. All labels together weigh as much as the events. Of more than
``_CANDIDATES`` groups a seeded choice of that many may move: with so many, the first pass alone comes close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Bounds of the search: 50 000 sessions take about a second, and a few hundred groups converge long before.
_CANDIDATES = 1000
_ROUNDS = 1000
# A group below this part of the smallest split's wanted hits fits anywhere.
_SMALL = 0.1
# Pairs tried to bring a lost label back; labels are lost only where groups are few.
_EXCHANGED = 100
# A change of the loss below this is rounding, not progress.
_LEAST_GAIN = 1e-9
# A smaller wanted share counts as this one in the loss, which divides by it.
_LEAST_SHARE = 1e-6
_DECIMALS = 12


@dataclass
class Stratifier:
    """Places groups in splits.

    Attributes:
        hits: hits per group and label, shape (groups, labels).
        sizes: more columns to divide evenly, such as events, shape (groups, columns); the first breaks ties.
        fractions: wanted share of each split, all above 0, shape (splits,), sum 1.
        training: index of the split that keeps every label, or None.
        rng: of everything random.
    """

    hits: np.ndarray
    sizes: np.ndarray
    fractions: np.ndarray
    training: int | None
    rng: np.random.Generator

    def __post_init__(self) -> None:
        used = self.hits[:, self.hits.any(axis=0)]
        table = np.concatenate([used, self.sizes[:, self.sizes.any(axis=0)]], axis=1).astype(np.float64)
        self._labels = used.shape[1]
        self._held = used > 0
        self._columns = table
        self._part = table / table.sum(axis=0)
        self._weights = np.ones(table.shape[1])
        self._weights[: self._labels] /= max(1, self._labels)
        self._scale = 1.0 / np.maximum(self.fractions, _LEAST_SHARE)
        self._split = np.zeros(len(table), np.int64)

    def place(self) -> np.ndarray:
        """Split index per group, int64, shape (groups,); there must be at least as many groups as splits."""
        self._deal()
        splits = np.arange(len(self.fractions))[:, None]
        member = (self._split == splits).astype(np.float64)
        # Kept up to date by `_put`: share less wanted share, groups per split, and groups with each label.
        self._deviation = member @ self._part - self.fractions[:, None]
        self._members = member.sum(axis=1).astype(np.int64)
        self._holders = (member @ self._held).astype(np.int64)
        self._keep_labels()
        self._fill()
        self._recover()
        self._improve()
        return self._split

    def _deal(self) -> None:
        """Iterative stratification."""
        need = self.fractions[:, None] * self._columns.sum(axis=0)
        shuffled = self.rng.permutation(len(self._columns))
        waiting = np.ones(len(self._columns), bool)
        events = self._labels  # the first column after the labels
        splits = range(len(self.fractions))
        while waiting.any():
            left = self._columns[waiting].sum(axis=0)
            rest = np.flatnonzero(left[: self._labels] > 0)
            column = int(rest[np.argmin(left[rest])]) if len(rest) else events
            # What holds none of any label is dealt last, by its events.
            mine = shuffled[waiting[shuffled] & ((self._columns[shuffled, column] > 0) | (not len(rest)))]
            size_class = np.frexp(self._columns[mine, column])[1]
            # What fits anywhere goes in random order: sorted, training would get the rich of them first, and
            # the others the many poor ones.
            room = _SMALL * self.fractions.min() * self._columns[:, column].sum()
            size_class[self._columns[mine, column] < room] = -1
            for group in mine[np.argsort(-size_class, kind="stable")]:
                split = max(splits, key=lambda s: (need[s, column], need[s, events]))
                self._split[group] = split
                need[split] -= self._columns[group]
            waiting[mine] = False

    def _put(self, group: int, split: int) -> None:
        for place, sign in ((int(self._split[group]), -1), (split, 1)):
            self._deviation[place] += sign * self._part[group]
            self._members[place] += sign
            self._holders[place] += sign * self._held[group]
        self._split[group] = split

    def _exchange(self, one: int, other: int) -> None:
        split = int(self._split[one])
        self._put(one, int(self._split[other]))
        self._put(other, split)

    def _keep_labels(self) -> None:
        """Give training a group with each label that it lacks."""
        if self.training is None:
            return
        for label in range(self._labels):
            if not self._holders[self.training, label]:
                rows = np.flatnonzero(self._held[:, label])
                cheapest = np.argmin(self._move_costs(rows)[:, self.training])
                self._put(int(rows[cheapest]), self.training)

    def _fill(self) -> None:
        """Give every empty split a group, one that costs training the fewest labels."""
        for split in range(len(self.fractions)):
            if self._members[split]:
                continue
            rows = np.flatnonzero(self._members[self._split] > 1)
            lost = self._sole(rows).sum(axis=1)
            # Of those that cost equally few, poor ones first: a rich one may stand in for others later.
            rich = self._held[rows].sum(axis=1)
            order = np.lexsort((self._move_costs(rows)[:, split], rich, lost))
            self._put(int(rows[order[0]]), split)

    def _recover(self) -> None:
        """Exchange groups where filling cost training a label, if that brings back more than it costs."""
        if self.training is None:
            return
        for _ in range(self._labels):
            missing = self._holders[self.training] == 0
            outside = np.flatnonzero(self._held[:, missing].any(axis=1))[:_EXCHANGED]
            inside = np.flatnonzero(self._split == self.training)
            inside = inside[np.argsort(self._sole(inside).sum(axis=1), kind="stable")][:_EXCHANGED]
            if not (len(outside) and len(inside)):
                return
            kept = self._holders[self.training] - self._held[inside]
            after = ((kept[:, None] + self._held[outside]) == 0).sum(axis=2)
            i, j = divmod(int(np.argmin(after)), len(outside))
            if after[i, j] >= missing.sum():
                return
            self._exchange(int(inside[i]), int(outside[j]))

    def _sole(self, rows: np.ndarray) -> np.ndarray:
        """Where a group is the only one of training with a label, bool, shape (rows, labels)."""
        if self.training is None:
            return np.zeros((len(rows), self._labels), bool)
        there = self._split[rows] == self.training
        return self._held[rows] & there[:, None] & (self._holders[self.training] == 1)

    def _move_costs(self, rows: np.ndarray) -> np.ndarray:
        """Change of the loss when a group moves to a split, shape (rows, splits); 0 where it is."""
        part, at = self._part[rows], self._split[rows][:, None]
        weighted = part * self._weights
        square = (weighted * part).sum(axis=1)[:, None]
        cross = 2.0 * weighted @ self._deviation.T
        come, go = (square + cross) * self._scale, (square - cross) * self._scale
        costs = come + np.take_along_axis(go, at, axis=1)
        np.put_along_axis(costs, at, 0.0, axis=1)
        return costs

    def _improve(self) -> None:
        rows = np.arange(len(self._split))
        if len(rows) > _CANDIDATES:
            rows = np.sort(self.rng.choice(rows, _CANDIDATES, replace=False))
        gram = (self._part[rows] * self._weights) @ self._part[rows].T
        for _ in range(_ROUNDS):
            costs = self._move_costs(rows)
            costs[self._sole(rows).any(axis=1)] = np.inf
            if not (self._move(rows, costs) or self._swap(rows, costs, gram)):
                break

    def _move(self, rows: np.ndarray, costs: np.ndarray) -> bool:
        """Move the group whose move lowers the loss most; none out of a split that would then be empty."""
        allowed = np.where(self._members[self._split[rows]][:, None] > 1, costs, np.inf)
        row, split = divmod(int(np.argmin(np.round(allowed, _DECIMALS))), len(self.fractions))
        if not allowed[row, split] < -_LEAST_GAIN:
            return False
        self._put(int(rows[row]), split)
        return True

    def _swap(self, rows: np.ndarray, costs: np.ndarray, gram: np.ndarray) -> bool:
        """Exchange the two groups whose exchange lowers the loss most."""
        at = self._split[rows]
        best: tuple[float, int, int] = (-_LEAST_GAIN, -1, -1)
        for one in range(len(self.fractions)):
            for other in range(one + 1, len(self.fractions)):
                here, there = np.flatnonzero(at == one), np.flatnonzero(at == other)
                if not (len(here) and len(there)):
                    continue
                # The two moves, less what they share: each leaves the place that the other takes.
                both = self._scale[one] + self._scale[other]
                change = (
                    costs[here, other][:, None] + costs[there, one] - 2 * both * gram[np.ix_(here, there)]
                )
                change = np.round(change, _DECIMALS)
                i, j = divmod(int(np.argmin(change)), len(there))
                best = min(best, (float(change[i, j]), int(here[i]), int(there[j])))
        if best[1] < 0:
            return False
        self._exchange(int(rows[best[1]]), int(rows[best[2]]))
        return True
