"""The technique catalogue: complete, unambiguous, and read without silent fallbacks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from beatsight.errors import InputError
from beatsight.taxonomy import Technique, load_techniques, resolve_technique, technique_families, techniques

# Named by the requirements, by the gates' example list or by the techniques that are inferred from events.
GATED = {"hihat_bark", "metric_modulation", "variable_meter", "multi_cymbal_same_class"}
REQUIRED = GATED | {
    "crash_dual_label", "flam", "drag", "ghost_note", "buzz_roll", "rimshot", "cross_stick",
    "hihat_foot_splash", "hihat_half_open", "hihat_foot_chick", "cymbal_choke", "ride_bell", "double_kick",
}  # fmt: skip

# The forty international drum rudiments of the Percussive Arts Society, by their ids here.
RUDIMENTS = {
    "single_stroke_roll", "single_stroke_four", "single_stroke_seven", "buzz_roll", "triple_stroke_roll",
    "double_stroke_roll", "five_stroke_roll", "six_stroke_roll", "seven_stroke_roll", "nine_stroke_roll",
    "ten_stroke_roll", "eleven_stroke_roll", "thirteen_stroke_roll", "fifteen_stroke_roll",
    "seventeen_stroke_roll", "single_paradiddle", "double_paradiddle", "triple_paradiddle",
    "paradiddle_diddle", "flam", "flam_accent", "flam_tap", "flamacue", "flam_paradiddle",
    "single_flammed_mill", "flam_paradiddle_diddle", "pataflafla", "swiss_army_triplet",
    "inverted_flam_tap", "flam_drag", "drag",
    "single_drag_tap", "double_drag_tap", "lesson_25", "single_dragadiddle", "drag_paradiddle_1",
    "drag_paradiddle_2", "single_ratamacue", "double_ratamacue", "triple_ratamacue",
}  # fmt: skip

FLAM = {"id": "flam", "family": "rudiment", "priority": "high", "aliases": [], "description": "Two strokes."}


def catalogue(folder: Path, *entries: dict[str, Any]) -> Path:
    """A catalogue file that holds ``entries``."""
    path = folder / techniques.CATALOGUE_NAME
    content = {"schema_version": "1.0", "description": "test", "techniques": list(entries)}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_everything_that_is_asked_for_is_there() -> None:
    assert len(RUDIMENTS) == 40
    known = load_techniques()
    assert known.keys() >= REQUIRED | RUDIMENTS
    assert len(known) >= 70
    assert {known[name].priority for name in GATED} == {"high"}


def test_ids_and_aliases_are_snake_case_and_belong_to_one_technique() -> None:
    names = [name for one in load_techniques().values() for name in (one.id, *one.aliases)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names)


def test_the_key_of_a_technique_is_its_id() -> None:
    assert all(key == one.id and isinstance(one, Technique) for key, one in load_techniques().items())


def test_descriptions_are_sentences_and_all_different() -> None:
    texts = [one.description for one in load_techniques().values()]
    assert len(set(texts)) == len(texts)
    assert all(text[0].isupper() and text.endswith(".") and 25 <= len(text) <= 220 for text in texts)


def test_the_text_list_holds_the_same_ids_in_the_same_order() -> None:
    package = Path(techniques.__file__).parent
    legacy = load_techniques(package / techniques.LEGACY_NAME)
    assert list(legacy) == list(load_techniques())
    assert {key: one.description for key, one in legacy.items()} == {
        key: one.description for key, one in load_techniques().items()
    }


def test_families_hold_every_technique_once() -> None:
    families = technique_families()
    assert sorted(sum(families.values(), ())) == sorted(load_techniques())
    assert "hihat_bark" in families["hihat"]
    assert "metric_modulation" in families["meter_tempo"]
    assert techniques.LEGACY_FAMILY not in families


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hi-Hat Bark", "hihat_bark"),
        ("hi hat half open", "hihat_half_open"),
        ("HIHAT_BARK", "hihat_bark"),
        ("  press  roll ", "buzz_roll"),
        ("multi-cymbal/same class", "multi_cymbal_same_class"),
        ("ruff", "drag"),
        ("Drag Paradiddle #1", "drag_paradiddle_1"),
        ("side-stick", "cross_stick"),
        ("purdie shuffle", "half_time_shuffle"),
    ],
)
def test_resolve_ignores_case_and_separators(name: str, expected: str) -> None:
    assert resolve_technique(name) == expected


def test_every_id_and_alias_resolves_to_its_own_technique() -> None:
    for one in load_techniques().values():
        for name in (one.id, *one.aliases):
            assert resolve_technique(name) == one.id
            assert resolve_technique(name.replace("_", " ").title()) == one.id


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"^unknown technique 'metrc modulaton'; did you mean 'metric_modulation'\?$"
    ):
        resolve_technique("metrc modulaton")
    with pytest.raises(InputError, match=r"^unknown technique 'zzzz'$"):
        resolve_technique("zzzz")
    with pytest.raises(InputError, match=r"^unknown technique ''$"):
        resolve_technique("")


def test_the_result_belongs_to_the_caller() -> None:
    load_techniques().clear()
    assert "flam" in load_techniques()


def test_a_catalogue_of_ones_own_is_read_and_unknown_keys_are_ignored(tmp_path: Path) -> None:
    path = catalogue(tmp_path, {**FLAM, "aliases": ["flams"], "video": "none"})
    found = load_techniques(str(path))
    assert found == {
        "flam": Technique(
            id="flam", family="rudiment", priority="high", aliases=("flams",), description="Two strokes."
        )
    }


def test_missing_json_falls_back_to_the_text_list_beside_it(tmp_path: Path) -> None:
    (tmp_path / techniques.LEGACY_NAME).write_text(
        "# comment\n\nhihat_bark: A short bark.\nMetric Modulation\nDrag #1: with a # inside\n",
        encoding="utf-8",
    )
    found = load_techniques(tmp_path / techniques.CATALOGUE_NAME)
    assert list(found) == ["hihat_bark", "metric_modulation", "drag_1"]
    assert found["hihat_bark"].description == "A short bark."
    assert found["drag_1"].description == "with a # inside"
    assert found["metric_modulation"].description == "Metric Modulation"
    assert {one.family for one in found.values()} == {techniques.LEGACY_FAMILY}
    assert {one.priority for one in found.values()} == {"medium"}


def test_json_wins_over_the_text_list(tmp_path: Path) -> None:
    (tmp_path / techniques.LEGACY_NAME).write_text("drag: Another one.\n", encoding="utf-8")
    assert list(load_techniques(catalogue(tmp_path, FLAM))) == ["flam"]


def test_both_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"none\.json: does not exist, and neither does additionaldrummertech"
    ):
        load_techniques(tmp_path / "none.json")
    with pytest.raises(InputError, match=r"none\.txt: cannot be read: No such file"):
        load_techniques(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"priority": "urgent"}, r"techniques\[0\]\.priority: Invalid enum value 'urgent'"),
        ({"id": "Flam Tap"}, r"techniques\[0\]\.id: Expected str matching regex"),
        ({"id": "flam\n"}, r"techniques\[0\]\.id: Expected str matching regex"),
        ({"aliases": "flams"}, r"techniques\[0\]\.aliases: Expected array, got str"),
        ({"aliases": ["two flams"]}, r"techniques\[0\]\.aliases\[0\]: Expected str matching regex"),
        ({"description": ""}, r"techniques\[0\]\.description: Expected str of length >= 1"),
        ({"family": None}, r"techniques\[0\]\.family: Expected str, got null"),
    ],
)
def test_faulty_entries_are_named_and_never_fall_back(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    (tmp_path / techniques.LEGACY_NAME).write_text("flam\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"technique_taxonomy\.json: {why}"):
        load_techniques(catalogue(tmp_path, {**FLAM, **change}))


def test_broken_json_is_an_error_even_beside_a_text_list(tmp_path: Path) -> None:
    (tmp_path / techniques.LEGACY_NAME).write_text("flam\n", encoding="utf-8")
    path = tmp_path / techniques.CATALOGUE_NAME
    path.write_text('{"schema_version": "1.0", "techniques": [', encoding="utf-8")
    with pytest.raises(
        InputError, match=r"technique_taxonomy\.json: is not valid JSON: Input data was truncated"
    ):
        load_techniques(path)
    path.write_text('{"schema_version": "1.0", "description": ""}', encoding="utf-8")
    with pytest.raises(InputError, match=r"json: Object missing required field techniques$"):
        load_techniques(path)


def test_names_with_two_meanings_are_refused(tmp_path: Path) -> None:
    drag = {**FLAM, "id": "drag"}
    with pytest.raises(InputError, match=r"technique 'flam' is listed twice$"):
        load_techniques(catalogue(tmp_path, FLAM, FLAM))
    with pytest.raises(InputError, match=r"the name 'flam' means both 'flam' and 'drag'$"):
        load_techniques(catalogue(tmp_path, FLAM, {**drag, "aliases": ["flam"]}))
    # The same name once separators and hi-hat spellings are levelled.
    with pytest.raises(InputError, match=r"the name 'hi_hat_bark' means both 'hihat_bark' and 'drag'$"):
        load_techniques(
            catalogue(tmp_path, {**FLAM, "id": "hihat_bark"}, {**drag, "aliases": ["hi_hat_bark"]})
        )


def test_empty_catalogues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"json: holds no techniques$"):
        load_techniques(catalogue(tmp_path))
    (tmp_path / "list.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.txt: holds no techniques$"):
        load_techniques(tmp_path / "list.txt")


def test_a_nameless_line_of_the_text_list_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("flam\n: no name\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"list\.txt:2: '' is not a technique name$"):
        load_techniques(tmp_path / "list.txt")


def test_the_required_list_of_an_existing_project_resolves(shared: Path) -> None:
    text = (shared / "data/peer-examples/configs/health_required_techniques_prod.txt").read_text(
        encoding="utf-8"
    )
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert set(names) == GATED
    assert [resolve_technique(name) for name in names] == names
