"""What drummers play: ten styles as short patterns, the meters, and how a 4/4 pattern fits another meter.

Conventions: a pattern is one bar of 4/4 in equal steps, four a quarter note (16 characters) or three in the
triplet styles (12). ``.`` rest, ``X`` accent, ``x`` plain, ``l`` light, ``g`` ghost, ``o`` open (hats) or
bell (ride), ``s`` cross-stick (snare line). Tempo counts beats: the quarter note in x/4, the dotted quarter
in 6/8, the eighth in 7/8.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meter:
    """A time signature: beats in a bar, their value in quarter notes, a tempo range of its own."""

    name: str
    beats: int
    quarters_per_beat: float
    tempo_bpm: tuple[float, float] | None = None


METERS = {
    meter.name: meter
    for meter in (
        Meter("4/4", 4, 1.0),
        Meter("3/4", 3, 1.0),
        Meter("6/8", 2, 1.5, (60.0, 110.0)),
        Meter("5/4", 5, 1.0),
        Meter("7/8", 7, 0.5, (140.0, 190.0)),
    )
}


@dataclass(frozen=True)
class Style:
    """How a style is played.

    Attributes:
        tempo_bpm: range in quarter notes per minute.
        steps: grid steps in a quarter note: 4, or 3 for triplet feel.
        kick, snare, keeper: pattern choices; the keeper is the hand that keeps time (hats, ride, …).
        keepers: relative weight of each instrument as time keeper.
        extras: further lines as (label, pattern, probability per section).
        swing: range of the share of a pair of steps that the first one takes; .5 is straight.
        ghosts: probability of a ghost note on a free step beside a backbeat.
        rimshots: probability that a backbeat is a rimshot.
        meters: usual meters, with 4/4 drawn most often.
        pedal: pattern of the left foot while the hand is not on the hats.
    """

    tempo_bpm: tuple[float, float]
    kick: tuple[str, ...]
    snare: tuple[str, ...]
    keeper: tuple[str, ...]
    keepers: tuple[tuple[str, float], ...]
    steps: int = 4
    extras: tuple[tuple[str, str, float], ...] = ()
    swing: tuple[float, float] = (0.5, 0.5)
    ghosts: float = 0.05
    rimshots: float = 0.1
    meters: tuple[str, ...] = ("4/4",)
    pedal: str = "....x.......x..."


_ROCK_KEEPERS = (
    ("hihat_closed", 4.0), ("hihat_half", 0.8), ("hihat_open", 0.8), ("ride_bow", 1.6), ("ride_bell", 1.2),
    ("crash", 0.5), ("crash2", 0.6), ("china", 0.9), ("ride_edge", 0.3), ("tom_low", 0.5),
)  # fmt: skip
_TIGHT_KEEPERS = (
    ("hihat_closed", 5.0), ("ride_bow", 1.5), ("ride_bell", 1.0), ("hihat_half", 0.5), ("china", 0.35),
)  # fmt: skip
# The keeper's line on instruments that are too long or too loud for running notes.
SPARSE_KEEPER = ("X...X...X...X...", "X...x...X...x...", "X.x.X.x.X.x.X.x.")
SPARSE_INSTRUMENTS = frozenset({"crash", "crash2", "china", "ride_edge", "ride_bell", "hihat_open"})

STYLES: dict[str, Style] = {
    "rock": Style(
        (90, 160),
        ("X.......X.......", "X.......X.x.....", "X.....x.X.......", "X..x..x.x.x.....", "X.x.....X..x..x."),
        ("....X.......X...", "....X..g.g..X...", "....X.......X..x", "....X..l....X.l.", "....s.......s..."),
        ("X.x.X.x.X.x.X.x.", "x.x.x.x.x.x.x.o.", "X...X...X...X...", "X.lxX.lxX.lxX.lx", "X.o.X.o.X.o.X.o."),
        _ROCK_KEEPERS,
        extras=(("tambourine", "....X.......X...", 0.08), ("cowbell", "X...X...X...X...", 0.10)),
        meters=("4/4", "4/4", "4/4", "4/4", "3/4", "6/8", "5/4", "7/8"), rimshots=0.2,
    ),
    "funk": Style(
        (84, 122),
        ("X..x..x...x..x..", "X.x....x..x.....", "X..x....x.x...x.", "X.....x..xx....."),
        ("....X..g.g..X..g", "....X..g.g.gX...", ".g..X..g.g..X.g.", "....X.g..g..X..x"),
        ("xlxlxlxlxlxlxlxl", "X.xlX.xlX.xoX.xl", "X.x.X.x.X.o.X.x.", "x.x.xlx.x.x.x.o."),
        _TIGHT_KEEPERS, swing=(0.5, 0.56), ghosts=0.25, rimshots=0.3,
        meters=("4/4", "4/4", "4/4", "7/8", "5/4"),
        extras=(("cowbell", "X...X...X...X...", 0.12), ("clap", "....X.......X...", 0.05)),
    ),
    "jazz": Style(
        (100, 190),
        ("l..l..l..l..", "l...........", "x....l......", "......l..l.l"),
        ("............", "..g......g.l", ".....l......", "..g..g......", "........x..g"),
        ("X..x.lX..x.l", "X..X.lX..x.l", "x..X.xx..X.x"),
        (("ride_bow", 6.0), ("hihat_closed", 1.0), ("ride_bell", 0.5)),
        steps=3, ghosts=0.1, rimshots=0.0, meters=("4/4", "4/4", "3/4", "5/4"), pedal="...x.....x..",
    ),
    "latin": Style(
        (88, 150),
        ("X..xX..xX..xX..x", "X.....xXX.....xX", "X...x..xX...x..x"),
        ("s..s..s...s..s..", "..s...s.s..s..s.", "s.....s...s.s...", "...l..l...X..l.."),
        ("xlxlxlxlxlxlxlxl", "x.x.x.x.x.x.x.x.", "X.xxX.xxX.xxX.xx"),
        (("hihat_closed", 3.0), ("ride_bow", 2.0), ("ride_bell", 2.0)),
        extras=(
            ("shaker", "XlxlXlxlXlxlXlxl", 0.3), ("cowbell", "X..X..X...X.X...", 0.3),
            ("aux_percussion", "x..l..x.x..l..xx", 0.5), ("tambourine", "..x...x...x...x.", 0.1),
        ), rimshots=0.0, meters=("4/4", "4/4", "4/4", "3/4", "7/8"),
    ),
    "metal": Style(
        (120, 190),
        ("xxxxxxxxxxxxxxxx", "X.xxX.xxX.xxX.xx", "XxxxX...XxxxX...", "X.x.X.x.X.x.X.x.", "X..xX..xX.xxX..x"),
        ("....X.......X...", "........X.......", "..X...X...X...X.", "....X.....X.X..."),
        ("X...X...X...X...", "X.x.X.x.X.x.X.x."),
        (
            ("hihat_closed", 1.5), ("hihat_half", 0.8), ("china", 1.6), ("ride_bell", 1.6), ("ride_bow", 0.8),
            ("crash", 0.9), ("crash2", 0.9), ("hihat_open", 0.5),
        ),
        ghosts=0.0, rimshots=0.6, meters=("4/4", "4/4", "4/4", "7/8", "5/4", "6/8"),
    ),
    "shuffle": Style(
        (80, 140),
        ("X.....X.....", "X....xX.....", "X.x...X....x"),
        ("...X.....X..", "..gX.g..gX.g", "...X....gX.."),
        ("X.xX.xX.xX.x", "X.xx.xX.xx.x", "X..X..X..X.o"),
        _TIGHT_KEEPERS, steps=3, ghosts=0.15, meters=("4/4", "4/4", "6/8", "3/4"), pedal="...x.....x..",
    ),
    "ballad": Style(
        (60, 88),
        ("X.......x.......", "X......xX.......", "X.........x....."),
        ("....X.......X...", "....s.......s...", "....X.......X..g"),
        ("X.x.X.x.X.x.X.x.", "X...x...X...x...", "XlxlXlxlXlxlXlxl", "x.x.x.x.x.x.x.o."),
        (("hihat_closed", 4.0), ("ride_bow", 2.5), ("ride_bell", 0.6), ("hihat_half", 0.4)),
        extras=(("shaker", "x.l.x.l.x.l.x.l.", 0.15), ("tambourine", "....x.......x...", 0.1)),
        meters=("4/4", "4/4", "6/8", "3/4"),
    ),
    "hiphop": Style(
        (76, 104),
        ("X.....x...x.....", "X..x......x..x..", "X.x....x..x....."),
        ("....X.......X...", "....X..g....X..g", "....X.......X.l.", "....s.......s..g"),
        ("X.x.X.x.X.x.X.x.", "x.xlx.x.x.xlx.xo", "X.xlX.xlX.xxX.xl"),
        (("hihat_closed", 6.0), ("hihat_half", 0.7), ("ride_bow", 0.6)),
        swing=(0.52, 0.62), extras=(("clap", "....X.......X...", 0.15), ("shaker", "x.x.x.x.x.x.x.x.", 0.1)),
    ),
    "disco": Style(
        (108, 132),
        ("X...X...X...X...", "X...X...X...X..x", "X...X...X..xX..."),
        ("....X.......X...", "....X.......X..l"),
        ("..o...o...o...o.", "x.o.x.o.x.o.x.o.", "xlolxlolxlolxlol", "X.x.X.x.X.x.X.x."),
        (("hihat_closed", 6.0), ("ride_bow", 0.6), ("ride_bell", 1.0)),
        extras=(
            ("clap", "....X.......X...", 0.25), ("tambourine", "x.x.X.x.x.x.X.x.", 0.2),
            ("cowbell", "X...X...X...X...", 0.1), ("aux_percussion", "..x..xx...x..xx.", 0.2),
        ),
    ),
    "waltz": Style(
        (84, 170),
        ("X.......x.......", "X...........x...", "X..............."),
        ("....x.......x...", "....l.......X...", "....s.......s..."),
        ("X...x...x...x...", "X...x.x.x...x.x.", "X.x.x.x.x.x.x.x."),
        (("ride_bow", 3.0), ("hihat_closed", 3.0), ("ride_bell", 0.6)),
        meters=("3/4", "3/4", "3/4", "6/8"), rimshots=0.0,
    ),
}  # fmt: skip

# Quarter-note cells of the 4/4 bar that make up the other meters; a half cell is written (cell, half).
_CELLS: dict[str, tuple[tuple[int, ...], ...]] = {
    "4/4": ((0,), (1,), (2,), (3,)),
    "3/4": ((0,), (1,), (3,)),
    "5/4": ((0,), (1,), (2,), (2,), (3,)),
    "7/8": ((0,), (1,), (3,), (2, 0)),
    "6/8": ((0,), (2, 0), (1,), (2, 1)),
}


def grid(style: Style, meter: Meter) -> tuple[int, ...] | None:
    """Which steps of the style's 4/4 patterns make a bar of this meter, or None where they cannot.

    >>> grid(STYLES["jazz"], METERS["3/4"])
    (0, 1, 2, 3, 4, 5, 9, 10, 11)
    >>> len(grid(STYLES["rock"], METERS["7/8"])), grid(STYLES["jazz"], METERS["7/8"])
    (14, None)
    """
    if style.steps == 3 and meter.name == "6/8":
        return tuple(range(6))  # a triplet beat is a dotted quarter already
    out: list[int] = []
    for cell, *half in _CELLS[meter.name]:
        start, length = cell * style.steps, style.steps
        if half:
            if length % 2:
                return None
            start, length = start + half[0] * length // 2, length // 2
        out.extend(range(start, start + length))
    return tuple(out)
