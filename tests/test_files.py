"""Whole files or none, compressed streams that notice damage, and paths that stay inside their root."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight import files
from beatsight.errors import InputError, MissingDependencyError
from beatsight.files import (
    DAMAGED,
    atomic_path,
    inside,
    open_input,
    open_output,
    read_bytes,
    read_text,
    sha256_file,
    write_bytes,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- atomic_path


def test_the_new_content_appears_at_the_end_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "out.wav"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".wav"
        assert temporary.parent == target.parent
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["out.wav"]


@pytest.mark.parametrize("fault", [RuntimeError("broke"), KeyboardInterrupt(), InputError("bad row")])
def test_a_failing_block_leaves_the_old_file_and_its_own_error(tmp_path: Path, fault: BaseException) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(type(fault)) as caught, atomic_path(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise fault
    assert caught.value is fault
    assert target.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["out.txt"]


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old", encoding="utf-8")
    program = textwrap.dedent("""
        import os, signal, sys
        from beatsight.files import atomic_path
        with atomic_path(sys.argv[1]) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text(encoding="utf-8") == "old"


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old", encoding="utf-8")
    with (
        pytest.raises(InputError, match=r"out\.txt: cannot be written: No space left on device$"),
        atomic_path(target) as temporary,
    ):
        temporary.write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["out.txt"]


def test_a_disk_that_is_really_full_is_one_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with (
        pytest.raises(InputError, match="No space left on device"),
        atomic_path(tmp_path / "unused.txt"),
        open_output("/dev/full") as stream,
    ):
        stream.write(b"x" * 100_000)
    assert names(tmp_path) == []


def test_a_read_only_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated, since a superuser may write anywhere.
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / ".out.x1.txt"))

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(InputError, match=r"out\.txt: cannot be written: Permission denied"):
        write_text(tmp_path / "out.txt", "x")


def test_an_error_about_another_file_names_that_file(tmp_path: Path) -> None:
    absent = tmp_path / "absent.wav"
    with (
        pytest.raises(
            InputError, match=r"out\.txt: cannot be written: No such file or directory \(.*absent\.wav\)$"
        ),
        atomic_path(tmp_path / "out.txt"),
    ):
        absent.read_bytes()


def test_a_folder_or_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"folder: is a folder, not a file that can be written$"):
        write_text(tmp_path / "folder", "x")
    write_text(tmp_path / "plain", "x")
    with pytest.raises(InputError, match=r"plain/out\.txt: cannot be written: (Not a directory|File exists)"):
        write_text(tmp_path / "plain" / "out.txt", "x")
    with pytest.raises(InputError, match="cannot be written: File name too long"):
        write_text(tmp_path / ("x" * 300), "x")
    assert names(tmp_path) == ["folder", "plain"]


def test_a_device_or_pipe_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe: is not a regular file, so it cannot be replaced$"):
        write_text(pipe, "x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(InputError, match="/dev/null: is not a regular file"):
        write_text("/dev/null", "x")


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "real.txt").write_text("old", encoding="utf-8")
    link = tmp_path / "link.txt"
    link.symlink_to("store/real.txt")
    write_text(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "store" / "real.txt").read_text(encoding="utf-8") == "new"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("", encoding="utf-8")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


# ---- reading


def test_text_and_bytes_round_trip(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "snare: žluťoučký\r\n")
    assert read_text(tmp_path / "a") == "snare: žluťoučký\r\n"
    write_bytes(tmp_path / "b", b"\x00\xff")
    assert read_bytes(tmp_path / "b") == b"\x00\xff"


def test_a_byte_order_mark_is_dropped_and_other_encodings_are_refused(tmp_path: Path) -> None:
    write_bytes(tmp_path / "bom", "kick".encode("utf-8-sig"))
    assert read_text(tmp_path / "bom") == "kick"
    write_bytes(tmp_path / "latin", "caf\u00e9".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin: is not UTF-8 text \(byte 3\)$"):
        read_text(tmp_path / "latin")


@pytest.mark.parametrize("reader", [read_bytes, read_text, sha256_file])
def test_unreadable_files_are_one_sentence(reader: object, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent: cannot be read: No such file or directory$"):
        reader(tmp_path / "absent")  # type: ignore[operator]
    with pytest.raises(InputError, match=r"cannot be read: Is a directory$"):
        reader(tmp_path)  # type: ignore[operator]


@pytest.mark.parametrize("size", [0, 3, (1 << 20) + 5])
def test_the_hash_is_that_of_the_whole_file(size: int, tmp_path: Path) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    write_bytes(tmp_path / "a", data[:size])
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data[:size]).hexdigest()


# ---- compressed streams


def put(path: Path, data: bytes) -> None:
    with open_output(path) as stream:
        stream.write(data)


def get(path: Path) -> bytes:
    with open_input(path) as stream:
        return stream.read()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_what_goes_in_comes_out_and_equal_content_gives_equal_files(suffix: str, tmp_path: Path) -> None:
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    data = os.urandom(1000) * 3000
    put(tmp_path / f"one{suffix}", data)
    put(tmp_path / f"two{suffix}", data)
    assert get(tmp_path / f"one{suffix}") == data
    assert read_bytes(tmp_path / f"one{suffix}") == read_bytes(tmp_path / f"two{suffix}")


def test_gzip_files_of_others_are_read_with_all_their_members(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"first\n") + gzip.compress(b"second\n"))
    assert get(tmp_path / "a.gz") == b"first\nsecond\n"
    put(tmp_path / "b.gz", b"ours")
    assert gzip.decompress((tmp_path / "b.gz").read_bytes()) == b"ours"


def test_zstd_files_of_others_are_read_with_all_their_frames(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    frames = [zstandard.ZstdCompressor().compress(part) for part in (b"first\n", b"", b"second\n")]
    (tmp_path / "a.zst").write_bytes(b"".join(frames))
    assert get(tmp_path / "a.zst") == b"first\nsecond\n"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damage_is_noticed_wherever_it_is(suffix: str, tmp_path: Path) -> None:
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    whole = tmp_path / f"whole{suffix}"
    put(whole, os.urandom(50_000) + b"kick\n" * 1000)
    data = whole.read_bytes()
    damaged = tmp_path / f"damaged{suffix}"
    for kept in (5, 20, len(data) // 2, len(data) - 1):
        damaged.write_bytes(data[:kept])
        with pytest.raises(DAMAGED):
            get(damaged)
    damaged.write_bytes(b"plain text, not compressed at all\n")
    with pytest.raises(DAMAGED):
        get(damaged)


def test_a_flipped_byte_in_gzip_is_noticed(tmp_path: Path) -> None:
    put(tmp_path / "a.gz", b"".join(b"%d,kick\n" % number for number in range(5000)))
    data = bytearray((tmp_path / "a.gz").read_bytes())
    for position in range(20, len(data), len(data) // 20):
        broken = bytearray(data)
        broken[position] ^= 0x5A
        (tmp_path / "b.gz").write_bytes(broken)
        with pytest.raises(DAMAGED):
            get(tmp_path / "b.gz")


def test_zstd_without_its_package_names_the_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.zst").write_bytes(b"")
    hint = r"^zstandard is not installed; run: pip install 'beatsight\[zstd\]'$"
    with pytest.raises(MissingDependencyError, match=hint):
        get(tmp_path / "a.zst")
    with pytest.raises(MissingDependencyError, match=hint):
        put(tmp_path / "b.zst", b"")


# ---- inside


def test_paths_below_the_root_are_joined(tmp_path: Path) -> None:
    assert inside(tmp_path, "song/kick.wav") == tmp_path.resolve() / "song/kick.wav"
    assert inside(tmp_path, "song/../kick.wav") == tmp_path.resolve() / "kick.wav"
    assert inside(tmp_path, "..hidden/kick.wav") == tmp_path.resolve() / "..hidden/kick.wav"


@pytest.mark.parametrize("path", ["../../etc/passwd", "..", "song/../../other", "./../x"])
def test_climbing_out_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"leaves its root folder "):
        inside(tmp_path, path)


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    (tmp_path / "data-secret").mkdir()
    with pytest.raises(InputError, match=r"\.\./data-secret/a: leaves its root folder"):
        inside(tmp_path / "data", "../data-secret/a")


def test_absolute_paths_are_refused_even_inside_the_root(tmp_path: Path) -> None:
    for path in ("/etc/passwd", str(tmp_path / "a.wav")):
        with pytest.raises(InputError, match="is an absolute path; give it relative to "):
            inside(tmp_path, path)


def test_links_out_of_the_root_are_refused_and_links_within_it_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "songs").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to("songs")
    with pytest.raises(InputError, match=r"out/x\.wav: leaves its root folder"):
        inside(root, "out/x.wav")
    assert inside(root, "in/x.wav") == (root / "songs/x.wav").resolve()
    (tmp_path / "alias").symlink_to("root")
    assert inside(tmp_path / "alias", "songs/x.wav") == (root / "songs/x.wav").resolve()


def test_what_is_no_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^'a\\x00b': is not a usable path: "):
        inside(tmp_path, "a\0b")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python leaves a loop as it is: it cannot be opened")
def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"^'loop/x': is not a usable path: "):
        inside(tmp_path, "loop/x")


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "...", "~"]), max_size=8))
def test_a_path_is_inside_exactly_when_it_stays_below_lexically(parts: list[str]) -> None:
    root = Path("/nowhere/root")
    text = "/".join(parts)
    expected = os.path.normpath(root / text)
    if text.startswith("/") or not (expected + "/").startswith("/nowhere/root/"):
        with pytest.raises(InputError, match=r"leaves its root|is an absolute path"):
            inside(root, text)
    else:
        assert str(inside(root, text)) == expected
