"""One song of a demo run as the package's own transcriber hears it, with its hits clicked over it."""

from __future__ import annotations

from beatsight.report.demo_data import PackageSongs
from beatsight.report.page import Section
from beatsight.report.song_page import song_section
from beatsight.report.text import number, plural


def heard_section(songs: PackageSongs, tolerance_ms: float) -> Section:
    """The section: player, lanes and the score of all songs.

    Args:
        songs: the song to hear, and the total over all of them.
        tolerance_ms: how far apart a true and a found hit were allowed to be.

    Raises:
        UsageError: the audio is empty, not mono or not finite.
    """
    song = songs.heard
    scores = song.scores
    own = (
        "" if scores is None else f" Here it is {number(scores.total.f1, 3)}: the song in the middle of them."
    )
    intro = (
        "The transcriber that comes with the package was trained before this run, on none of its songs. "
        f"Over {plural(songs.count, 'song')} played on kits of their own its F-measure is "
        f"{number(songs.total.f1, 3)} within {tolerance_ms:g} ms.{own} Press play: each found hit clicks in "
        "a tone of its class."
    )
    return song_section(song, "The package's transcriber, heard", intro)
