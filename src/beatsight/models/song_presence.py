"""Whether anybody drums: single weak hits need sure ones in their neighbourhood.

Somebody who drums is heard clearly at least now and then, even behind a loud band. Where half a minute of
audio holds nothing but half-believed hits (the crackle of a record, a burp, a boom in a film), there is no
drummer, and all onsets are believed less. A tambourine or a clap also needs a drummer near it: bells and bows
sound much alike.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from beatsight.models.song_blocks import BlockFilter

# In frames of 10 ms: a block, and how far away sure hits may be.
_BLOCK, _FAR = 1280, 1500
# A file of a single stroke holds no sure hit and still a drummer: so much audio must be there to tell.
_ENOUGH = 500


class PresenceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When nobody seems to drum, and what that costs.

    Attributes:
        unsure, sure: the highest activation of any group around a frame at which certainly nobody drums, and
            somebody certainly does.
        down: by how much log-odds fall where nobody does.
    """

    unsure: float = 0.5
    sure: float = 0.7
    down: float = 3.0


class Presence(BlockFilter):
    """Activations in, activations that fall where nobody drums out, half a minute late at most.

    Args:
        groups: the first columns, which tell.
        onsets: the columns that fall: groups and articulations.
        config: when and how far.
    """

    def __init__(self, groups: int, onsets: int, config: PresenceConfig) -> None:
        super().__init__(onsets, _BLOCK, _FAR)
        self._groups, self._config = groups, config

    def _shift(self, around: np.ndarray, song: slice) -> np.ndarray:
        surest = around[:, : self._groups].max(axis=1)
        near = sliding_window_view(surest, 2 * _FAR + 1).max(axis=1)
        unsure, sure = self._config.unsure, self._config.sure
        absent = np.clip((sure - near) / (sure - unsure), 0.0, 1.0)
        frame = np.arange(_BLOCK)
        heard = np.minimum(song.stop, frame + 2 * _FAR + 1) - np.maximum(song.start, frame)
        absent *= np.clip(heard / _ENOUGH, 0.0, 1.0)
        return np.repeat(-self._config.down * absent[:, None], self._count, axis=1)
