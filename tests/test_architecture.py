"""The import rule of docs/architecture.md, held on the source text and on a running interpreter.

Rooms are the modules and packages directly under ``beatsight``. A room imports only from itself and from
rooms that stand before it in :data:`ROOMS`; a room that does not exist yet is no fault, one that is not
listed is.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "beatsight"

ROOMS = (
    "errors", "version", "files", "taxonomy", "events", "metrics", "charts", "audio", "synth", "sources",
    "manifest", "gates", "report", "dataset", "models", "train", "evaluate", "transcription", "demo", "cli",
)  # fmt: skip
# The package itself, and `python -m beatsight`, are no rooms. The package sees only `version` when it is
# imported (names that it looks up when they are used may come from anywhere); `__main__` sees all.
ORDER = {room: rank for rank, room in enumerate(ROOMS)} | {
    "__init__": ROOMS.index("version"),
    "__main__": len(ROOMS),
}
# The package's short names are for users: inside, they would hide which room a thing comes from.
SHORT_NAME_USERS = {"cli", "demo", "__main__"}

TORCH = {"torch", "torchaudio", "torchvision"}
TORCH_ROOMS = {"dataset", "models", "train", "evaluate", "transcription", "cli", "demo"}
# May import torch when a function is called, never when the module is imported.
TORCH_LAZILY = {"audio/features.py"}
# Training is an application: what a model needs to run must not depend on it.
TRAIN_USERS = {"train", "cli", "demo", "__main__"}
IMPORTING_CALLS = {"require", "import_module", "__import__"}


class Import(NamedTuple):
    """One imported module: its dotted name, its line, and whether it runs when its own module is imported."""

    name: str
    line: int
    eager: bool


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports_of(node: ast.AST, package: str, eager: bool = True) -> Iterator[Import]:
    """Every import below ``node``; ``package`` is the dotted package that relative imports start from."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - child.level + 1]) if child.level else ""
            source = ".".join(part for part in (base, child.module) if part)
            # `from beatsight import audio` imports beatsight.audio.
            yield from (Import(f"{source}.{alias.name}", child.lineno, eager) for alias in child.names)
        elif isinstance(child, ast.Call) and child.args and isinstance(child.args[0], ast.Constant):
            called = ast.unparse(child.func).rpartition(".")[2]
            if called in IMPORTING_CALLS and isinstance(child.args[0].value, str):
                yield Import(child.args[0].value, child.lineno, eager)
        if isinstance(child, ast.If) and is_type_checking(child.test):
            for part in child.body:
                yield from imports_of(ast.Module([part], []), package, eager=False)
            for part in child.orelse:
                yield from imports_of(ast.Module([part], []), package, eager)
        else:
            lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports_of(child, package, eager and not lazy)


def faults(source: Path) -> list[str]:
    """One line for each import below ``source`` (a ``beatsight`` folder) that breaks the rule."""
    found: set[str] = set()
    for path in sorted(source.rglob("*.py")):
        inner = path.relative_to(source)
        room = inner.parts[0].removesuffix(".py")
        if room not in ORDER:
            found.add(f"{inner}: {room} is not a room in the order of docs/architecture.md")
            continue
        package = ".".join(("beatsight", *inner.parts[:-1]))
        for name, line, eager in imports_of(ast.parse(path.read_text(encoding="utf-8")), package):
            top, _, rest = name.partition(".")
            where = f"{inner}:{line}: {room}"
            if top in TORCH and room not in TORCH_ROOMS and (eager or str(inner) not in TORCH_LAZILY):
                found.add(f"{where} may not import torch")
            target = rest.split(".")[0]
            if top != "beatsight" or target == "__version__" or (room == "__init__" and not eager):
                continue
            if target not in ROOMS:
                if room not in SHORT_NAME_USERS:
                    found.add(f"{where} may not import {target or name} from the package: name its room")
            elif ORDER[target] > ORDER[room]:
                found.add(f"{where} may not import {target}, which stands after it")
            elif target == "train" and room not in TRAIN_USERS:
                found.add(f"{where} may not import train")
    return sorted(found)


def documented_rooms() -> tuple[str, ...]:
    """The rooms in the order of the table in docs/architecture.md."""
    text = (SOURCE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return tuple(cells[0].strip(" `") for cells in rows if len(cells) == 3)


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_import_goes_up() -> None:
    assert (SOURCE / "errors.py").is_file()
    assert faults(SOURCE) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("errors.py", "from beatsight.files import read_text", "errors.py:1: errors may not import files"),
        ("errors.py", "import beatsight.cli.main as m", "errors.py:1: errors may not import cli"),
        ("events.py", "from beatsight import metrics", "events.py:1: events may not import metrics"),
        ("events.py", "from . import charts", "events.py:1: events may not import charts"),
        ("audio/io.py", "from ..synth.kit import make_kit", "audio/io.py:1: audio may not import synth"),
        ("audio/io.py", "def f():\n    from beatsight import cli", "audio/io.py:2: audio may not import cli"),
        ("taxonomy/a/b.py", "from ... import gates", "taxonomy/a/b.py:1: taxonomy may not import gates"),
        (
            "models/net.py",
            "try:\n    import os\nexcept ImportError:\n    import beatsight.train",
            "models/net.py:4: models may not import train",
        ),
        (
            "transcription/song.py",
            "from beatsight.train.loop import fit",
            "song.py:1: transcription may not import train",
        ),
        ("evaluate.py", "from beatsight import train", "evaluate.py:1: evaluate may not import train"),
        ("gates/all.py", "import torch", "gates/all.py:1: gates may not import torch"),
        ("report/page.py", "from torch.nn import Linear", "report/page.py:1: report may not import torch"),
        ("report/page.py", "def f():\n    import torch", "report/page.py:2: report may not import torch"),
        ("metrics.py", "x = require('torch', 'ml')", "metrics.py:1: metrics may not import torch"),
        (
            "metrics.py",
            "import importlib\nimportlib.import_module('torch.nn')",
            "metrics.py:2: metrics may not",
        ),
        ("audio/io.py", "def f():\n    import torch", "audio/io.py:2: audio may not import torch"),
        ("audio/features.py", "import torch", "audio/features.py:1: audio may not import torch"),
        (
            "audio/features.py",
            "class A:\n    import torch",
            "audio/features.py:2: audio may not import torch",
        ),
        ("charts/midi.py", "from beatsight import Event", "charts may not import Event from the package"),
        ("charts/midi.py", "import beatsight", "charts may not import beatsight from the package"),
        ("helpers.py", "", "helpers.py: helpers is not a room"),
        ("utils/__init__.py", "", "utils/__init__.py: utils is not a room"),
        (
            "__init__.py",
            "from beatsight.files import read_text",
            "__init__.py:1: __init__ may not import files",
        ),
    ],
)
def test_a_planted_fault_is_found(file: str, text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "beatsight" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    found = faults(tmp_path / "beatsight")
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("files.py", "from beatsight.errors import InputError\nimport torchless"),
        ("__init__.py", "from beatsight.version import VERSION"),
        ("__init__.py", "def __getattr__(name):\n    from beatsight.train import loop"),
        ("cli/song.py", "from beatsight import make_song"),
        ("__main__.py", "from beatsight.cli.main import run"),
        (
            "charts/midi.py",
            "from beatsight.charts.chart import Chart\nfrom . import bsm\nfrom ..events import Event",
        ),
        ("charts/midi.py", "from beatsight import __version__"),
        ("models/net.py", "import torch\nfrom beatsight.dataset import shards"),
        ("cli/train.py", "def f():\n    from beatsight.train import loop\n    import torch"),
        ("audio/features.py", "def f():\n    import torch\n    from torch import nn"),
        ("audio/features.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("report/page.py", '"""Never says import torch."""'),
    ],
)
def test_what_is_allowed_is_no_fault(file: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "beatsight" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert faults(tmp_path / "beatsight") == []


def test_the_documented_rooms_are_these_and_exist() -> None:
    documented = documented_rooms()
    assert documented == ROOMS
    assert set(documented) <= {path.stem for path in SOURCE.iterdir()}


def test_rooms_that_need_no_torch_load_none() -> None:
    modules = sorted(
        ".".join(("beatsight", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0].removesuffix(".py") in set(ROOMS) - TORCH_ROOMS
    )
    assert "beatsight.events" in modules
    program = (
        f"import importlib, sys\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        f"print(sorted({TORCH!r} & sys.modules.keys()))"
    )
    assert python(program) == "[]"


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"numpy", "scipy", "torch", "soundfile", "msgspec", "typer", "rich", "jinja2", "mido"}
    program = f"import sys, beatsight\nprint(sorted({heavy!r} & sys.modules.keys()))"
    assert python(program) == "[]"
