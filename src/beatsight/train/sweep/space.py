"""What a sweep varies: lists of values or ranges for a few settings, the grid they span, and names of runs.

A *setting* is one of :data:`SETTINGS`; a *space* maps names of settings to the values (a tuple) or the
:class:`Range` it may take. A run's settings are one number for each setting of the space. Names of runs hold
those numbers in full, so that equal names mean equal settings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from beatsight.errors import UsageError

Value = int | float
Settings = dict[str, Value]

# Digits kept of a number that a search draws: finer steps change no training run, and names stay short.
_DRAWN_DIGITS = 3
# A list this long is a typing error or a week of training.
_MOST_VALUES = 1000


@dataclass(frozen=True)
class Setting:
    """One number of a training run that a sweep can vary.

    Attributes:
        name: as in the run's settings (`beatsight train`'s metrics file calls it so).
        option: of ``beatsight sweep``, with a list or a range.
        flag: of ``beatsight train``, with one value.
        short: in names of runs.
        whole: whether it is a count.
        log: whether a range is searched by ratio (0.001 to 0.01 as wide as 0.01 to 0.1).
        high: values lie below this, from 0 on; counts and rates are above 0.
    """

    name: str
    option: str
    flag: str
    short: str
    whole: bool = False
    log: bool = False
    high: float = math.inf
    zero: bool = False


SETTINGS = {
    item.name: item
    for item in (
        Setting("batch_size", "--batch-sizes", "--batch-size", "bs", whole=True, log=True),
        Setting("epochs", "--epochs", "--epochs", "ep", whole=True),
        Setting("lr", "--learning-rates", "--lr", "lr", log=True),
        Setting("dropout", "--dropouts", "--dropout", "do", high=1.0, zero=True),
    )
}


@dataclass(frozen=True)
class Range:
    """Every number from ``low`` to ``high``, both included."""

    low: Value
    high: Value


Space = Mapping[str, tuple[Value, ...] | Range]


def parse_values(name: str, texts: Sequence[str]) -> tuple[Value, ...] | Range:
    """What the words after an option mean: a list of numbers, or one range ``LOW..HIGH``.

    Raises:
        UsageError: not a number, not in reach of the setting, or a range beside other values.

    >>> parse_values("batch_size", ["16", "8"])
    (16, 8)
    >>> parse_values("lr", ["1e-4..1e-2"])
    Range(low=0.0001, high=0.01)
    """
    setting = SETTINGS[name]
    if any(".." in text for text in texts):
        if len(texts) > 1:
            raise UsageError(f"{setting.option}: a range stands alone, without other values")
        low, high = (_number(setting, text) for text in texts[0].split("..", 1))
        if not low < high:
            raise UsageError(f"{setting.option}: {texts[0]} runs from the larger to the smaller number")
        return Range(low, high)
    # A value given twice is trained once.
    values = tuple(dict.fromkeys(_number(setting, text) for text in texts))
    if len(values) > _MOST_VALUES:
        raise UsageError(f"{setting.option}: {len(values)} values; at most {_MOST_VALUES}")
    return values


def _number(setting: Setting, text: str) -> Value:
    try:
        value: Value = int(text) if setting.whole else float(text)
    except ValueError as error:
        wanted = "a whole number" if setting.whole else "a number"
        raise UsageError(f"{setting.option}: {text!r} is not {wanted} or a range LOW..HIGH") from error
    if not math.isfinite(value) or value < 0 or value >= setting.high or (value == 0 and not setting.zero):
        wanted = f"at least 0 and below {setting.high:g}" if setting.zero else "above 0"
        raise UsageError(f"{setting.option}: {text} must be {wanted}")
    # 0.0 and -0.0 are one value.
    return value + 0


def drawn(name: str, value: Value) -> Value:
    """A number that a search drew, as it is trained with.

    >>> drawn("lr", 0.000432178), drawn("epochs", 12)
    (0.000432, 12)
    """
    return int(value) if SETTINGS[name].whole else float(f"{value:.{_DRAWN_DIGITS}g}")


def text_of(value: Value) -> str:
    """The shortest text that reads back as the same number.

    >>> text_of(0.001), text_of(16), text_of(1.0), text_of(1e-05)
    ('0.001', '16', '1', '1e-05')
    """
    return repr(value).removesuffix(".0")


def run_name(settings: Mapping[str, Value]) -> str:
    """The folder name of a run: equal for equal settings, different for different ones.

    >>> run_name({"lr": 0.001, "batch_size": 8, "epochs": 3})
    'bs8_ep3_lr0.001'
    """
    return "_".join(
        f"{setting.short}{text_of(settings[name])}" for name, setting in SETTINGS.items() if name in settings
    )


def grid(space: Space) -> list[Settings]:
    """Every combination of the values, the last setting varying fastest.

    Raises:
        UsageError: there is nothing to vary, or a range, which has no grid.

    >>> [run_name(one) for one in grid({"batch_size": (8, 16), "epochs": (3,)})]
    ['bs8_ep3', 'bs16_ep3']
    """
    check_space(space)
    lists: list[Iterable[Value]] = []
    for name in _ordered(space):
        values = space[name]
        if isinstance(values, Range):
            raise UsageError(f"{SETTINGS[name].option}: a range is for a search; add --trials N")
        lists.append(values)
    return [dict(zip(_ordered(space), values, strict=True)) for values in itertools.product(*lists)]


def check_space(space: Space) -> None:
    """Refuse an empty space."""
    if not space:
        options = ", ".join(setting.option for setting in SETTINGS.values())
        raise UsageError(f"nothing to vary: give at least one of {options}")


def _ordered(space: Space) -> list[str]:
    return [name for name in SETTINGS if name in space]
