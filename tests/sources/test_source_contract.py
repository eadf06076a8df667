"""The contract that every source keeps, tried on a small tree in the true layout of each."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import generic_trees
import pytest
import source_trees

from beatsight.errors import InputError, UsageError
from beatsight.events import Event, read_events
from beatsight.files import sha256_file
from beatsight.sources.catalogue import all_sources, find_source
from beatsight.sources.ingest import check_settings, ingest
from beatsight.taxonomy import CANONICAL, digest
from beatsight.version import VERSION

TREES = source_trees.TREES | generic_trees.TREES
UNKNOWN = source_trees.UNKNOWN | generic_trees.UNKNOWN
# Hits of each tree, as the builders plant them.
PLANTED = generic_trees.PLANTED | {
    "mdb_drums": 10,
    "enst_drums": 14,
    "idmt_smt_drums": 8,
    "groove_midi": 8,
    "egmd": 5,
    "slakh2100": 8,
}
NAMES = list(all_sources())

every_source = pytest.mark.parametrize("name", NAMES)


def test_every_source_has_a_tree_and_is_found_by_name() -> None:
    assert set(NAMES) == set(TREES) == set(UNKNOWN) == set(PLANTED)
    assert len(NAMES) == len({source.card.title for source in all_sources().values()})
    for name in NAMES:
        assert find_source(name).card.name == name
    with pytest.raises(UsageError, match=r"unknown source 'mdb_drum'; did you mean 'mdb_drums'\?"):
        find_source("mdb_drum")


@every_source
def test_the_source_is_documented(name: str) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert re.search(rf"^###.*`{name}`", page, re.MULTILINE)
    assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE)
    card = find_source(name).card
    assert all(f"{option.name}=" in page for option in find_source(name).options)
    assert not card.citation or card.citation.split(",")[0].split(".")[-1].strip() in page


@every_source
def test_the_card_is_complete(name: str) -> None:
    source = find_source(name)
    card = source.card
    assert card.title and card.version and card.licence and card.layout.strip()
    # Either a format of the user's own files, or a published set with someone to name.
    published = card.licence != "of the files"
    assert bool(card.citation) is bool(card.url) is published
    assert (card.commercial is not None) or not published
    assert card.url.startswith(("http://", "https://")) or not published
    for option in source.options:
        assert option.help and (not option.choices or option.default in option.choices)


@every_source
def test_settings_are_checked(name: str) -> None:
    source = find_source(name)
    assert check_settings(source, {}) == {option.name: option.default for option in source.options}
    with pytest.raises(UsageError, match=f"{name} has no setting 'colour'; "):
        check_settings(source, {"colour": "red"})
    for option in source.options:
        if option.choices:
            with pytest.raises(UsageError, match=f"{name}: {option.name}=colour is none of "):
                check_settings(source, {option.name: "colour"})


@every_source
def test_an_empty_folder_and_no_folder_are_refused_with_what_was_expected(name: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"empty: .*[;,:] expected \S+") as caught:
        ingest(name, empty, tmp_path / "events.jsonl")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="gone: no such file or folder"):
        ingest(name, tmp_path / "gone", tmp_path / "events.jsonl")
    assert not (tmp_path / "events.jsonl").exists()


def order(event: Event) -> tuple[str, str]:
    return event.session_id, event.audio_path or ""


@every_source
def test_the_tree_becomes_events(name: str, tmp_path: Path) -> None:
    root, output = TREES[name](tmp_path), tmp_path / "events.jsonl"
    result = ingest(name, root, output)
    events = read_events(output)
    assert len(events) == result.events > 0
    assert len({event.sample_id for event in events}) == len(events)
    card = find_source(name).card
    last: dict[tuple[str, str], float] = {}
    for event in events:
        assert event.source_set == card.title
        assert event.session_id.startswith(f"{name}:") and event.sample_id.startswith(event.session_id)
        assert set(event.labels) <= set(CANONICAL) and len(set(event.labels)) == len(event.labels)
        assert event.onset_time >= last.get(order(event), 0.0)
        last[order(event)] = event.onset_time
        if event.audio_path is not None:
            assert "\\" not in event.audio_path and (root / event.audio_path).is_file()
        for field in (event.drummer_id, event.kit_id, event.room_id):
            # E-GMD was played by the drummers of Groove MIDI, and says so.
            assert field is None or field.partition(":")[0] in NAMES
        assert event.metadata_ref.startswith("provenance:")
        assert event.bar_index is None or isinstance(event.beat_index, int | float)
    assert result.components == sum(len(event.components) for event in events) == sum(result.labels.values())
    assert result.without_audio == sum(event.audio_path is None for event in events)
    assert any(event.audio_path for event in events)


@every_source
def test_nothing_is_lost_and_the_unknown_name_is_listed_with_its_place(name: str, tmp_path: Path) -> None:
    root = TREES[name](tmp_path)
    result = ingest(name, root, tmp_path / "events.jsonl")
    found = {unmapped.name: unmapped for unmapped in result.unmapped}
    assert UNKNOWN[name] in found
    place = found[UNKNOWN[name]].first
    assert (root / place).exists() or (root / place.rpartition(":")[0]).is_file()
    assert result.components + sum(unmapped.count for unmapped in result.unmapped) == PLANTED[name]


@every_source
def test_the_provenance_says_what_was_read(name: str, tmp_path: Path) -> None:
    root, output = TREES[name](tmp_path), tmp_path / "events.jsonl"
    result = ingest(name, root, output)
    said = json.loads(result.provenance.read_text(encoding="utf-8"))
    card = find_source(name).card
    assert (said["program"], said["taxonomy"]) == (f"beatsight {VERSION}", digest())
    assert said["source"]["licence"] == card.licence and said["source"]["name"] == name
    assert said["settings"] == {option.name: option.default for option in find_source(name).options}
    assert said["root"] == root.name and said["events"] == "events.jsonl"
    assert said["counts"]["components"] == result.components and said["counts"]["labels"] == result.labels
    assert said["unmapped"][0]["count"] >= 1 and said["skipped"] == result.skipped
    assert said["files"]
    for path, digits in (said["files"] | said["audio"]).items():
        assert hashlib.sha256((root / path).read_bytes()).hexdigest() == digits
    events = read_events(output)
    assert set(said["audio"]) == {event.audio_path for event in events} - {None}
    assert {event.metadata_ref.removeprefix("provenance:") for event in events} <= set(said["files"])


@every_source
def test_two_runs_give_the_same_bytes_also_inside_the_root_and_elsewhere(name: str, tmp_path: Path) -> None:
    root = TREES[name](tmp_path)
    copy = tmp_path / "elsewhere" / root.name
    shutil.copytree(root, copy)
    first = ingest(name, root, root / "out" / "events.jsonl.gz")
    again = ingest(name, root, root / "out" / "events.jsonl.gz", audio_hashes=True)
    other = ingest(name, copy, tmp_path / "x" / "events.jsonl.gz")
    assert sha256_file(first.output) == sha256_file(again.output) == sha256_file(other.output)
    assert sha256_file(again.provenance) == sha256_file(other.provenance)
    assert str(tmp_path) not in first.provenance.read_text(encoding="utf-8")


@every_source
def test_a_damaged_item_is_listed_and_the_rest_goes_through(name: str, tmp_path: Path) -> None:
    root, output = TREES[name](tmp_path), tmp_path / "events.jsonl"
    source = find_source(name)
    whole = ingest(name, root, output)
    item = source.find(root, check_settings(source, {}))[0]
    path = item if isinstance(item, Path) else item.path
    if path.is_dir():
        path = next(file for file in sorted(path.rglob("*")) if file.is_file() and "conga" not in file.name)
    path.write_bytes(b"\xff\x00 damaged")
    result = ingest(name, root, output)
    listed = set(result.skipped) - set(whole.skipped)
    assert listed
    assert 0 < result.events < whole.events
    assert json.loads(result.provenance.read_text(encoding="utf-8"))["skipped"] == result.skipped
