"""Errors carry their exit code; optional packages are asked for with an install line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from beatsight.errors import BeatSightError, InputError, MissingDependencyError, UsageError, require


@pytest.mark.parametrize(("kind", "code"), [(InputError, 3), (UsageError, 2), (MissingDependencyError, 4)])
def test_each_error_has_its_exit_code_and_the_common_root(kind: type[BeatSightError], code: int) -> None:
    assert issubclass(kind, BeatSightError)
    assert kind.exit_code == kind("one sentence").exit_code == code
    assert str(kind("one sentence")) == "one sentence"


def test_the_root_itself_never_passes_for_success() -> None:
    assert BeatSightError("x").exit_code == 3


def test_require_gives_the_module() -> None:
    import json.decoder

    assert require("json", "ml") is json
    assert require("json.decoder", "ml") is json.decoder


@pytest.mark.parametrize("module", ["no_such_module_of_ours", "no_such_module_of_ours.part"])
def test_a_missing_module_is_named_with_the_line_that_installs_it(module: str) -> None:
    with pytest.raises(
        MissingDependencyError, match=rf"^{module} is not installed; run: pip install 'beatsight\[zstd\]'$"
    ):
        require(module, "zstd")


def test_a_module_that_is_blocked_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "colorsys", None)
    with pytest.raises(MissingDependencyError, match=r"colorsys is not installed; .*\[ml\]"):
        require("colorsys", "ml")


def test_a_fault_inside_an_installed_module_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed_but_incomplete.py").write_text("import its_own_missing_part\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_own_missing_part"):
        require("installed_but_incomplete", "ml")
