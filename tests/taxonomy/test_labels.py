"""Labels: exact vocabularies, unambiguous aliases, consistent folds, a digest that means something."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.taxonomy import (
    ALIASES,
    CANONICAL,
    CLASSIFIER,
    EXTENDED,
    PRODUCTION,
    VOCABULARIES,
    UnknownLabelError,
    fold,
    is_hihat,
    is_known,
    labels,
    resolve,
)

# Copied out of docs/formats.md: the order is part of the format (class indices follow it).
CLASSIFIER_TEXT = (
    "kick snare hihat_closed hihat_open crash ride tom_high tom_mid tom_low crash2 ride_bell china"
)
PRODUCTION_TEXT = (
    "kick snare rimshot cross_stick hihat_closed hihat_open hihat_pedal hihat_foot_splash ride_bow ride_bell "
    "crash crash2 splash china tom_high tom_mid tom_low aux_percussion"
)
EXTENDED_ADDS = "snare_off hihat_half ride_edge cowbell tambourine clap shaker"


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """Clear the caches of the module around a test that changes its tables."""
    cached = (labels.resolve, labels.fold, labels.digest)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


def test_vocabularies_are_exactly_those_of_the_format() -> None:
    assert CLASSIFIER_TEXT.split() == list(CLASSIFIER)
    assert PRODUCTION_TEXT.split() == list(PRODUCTION)
    production_part = [label for label in PRODUCTION_TEXT.split() if label != "aux_percussion"]
    assert production_part + EXTENDED_ADDS.split() == list(EXTENDED)
    assert (len(CLASSIFIER), len(PRODUCTION), len(EXTENDED)) == (12, 18, 24)
    assert set(CANONICAL) == set(PRODUCTION) | set(EXTENDED)
    assert VOCABULARIES["five"] == ("KD", "SD", "TT", "HH", "CY")
    assert VOCABULARIES["three"] == ("KD", "SD", "HH")


def test_no_vocabulary_names_a_label_twice() -> None:
    assert all(len(set(names)) == len(names) for names in VOCABULARIES.values())


def test_every_alias_resolves_and_stands_under_one_label_only() -> None:
    written = [alias for aliases in labels._ALIASES.values() for alias in aliases.split()]
    assert [alias for alias, count in Counter(written).items() if count > 1] == []
    assert set(written).isdisjoint(CANONICAL)
    for label, aliases in labels._ALIASES.items():
        assert label in CANONICAL
        for alias in aliases.split():
            assert resolve(alias) == label
            assert is_known(alias)


def test_aliases_are_written_in_the_form_they_are_looked_up_in() -> None:
    for alias, label in ALIASES.items():
        assert resolve(alias.upper()) == label
        assert resolve(alias.replace("_", "-")) == label
        assert resolve(f"  {alias.replace('_', ' ').title()} ") == label


@pytest.mark.parametrize(
    ("alias", "label"),
    [
        ("snare_center", "snare"),
        ("hihat_splash", "hihat_foot_splash"),
        ("crash_1", "crash"),
        ("crash_2", "crash2"),
        ("ride", "ride_bow"),
        ("Hi-Hat Closed", "hihat_closed"),
        ("sidestick", "cross_stick"),
        ("Floor Tom", "tom_low"),
        ("BD", "kick"),
    ],
)
def test_planted_aliases(alias: str, label: str) -> None:
    assert resolve(alias) == label


def test_every_label_of_a_vocabulary_folds_onto_itself() -> None:
    for vocabulary in ("classifier", "production", "extended"):
        for label in VOCABULARIES[vocabulary]:
            assert fold(label, vocabulary) == label


def test_folds_stay_inside_their_vocabulary_and_reach_all_of_it() -> None:
    for vocabulary, names in VOCABULARIES.items():
        reached = {fold(label, vocabulary) for label in CANONICAL} - {None}
        assert reached == set(names)


def test_folding_in_steps_is_folding_at_once() -> None:
    for label in (*CANONICAL, *ALIASES):
        production = fold(label, "production")
        assert production is not None
        assert fold(label, "classifier") == fold(production, "classifier")
        extended = fold(label, "extended")
        if extended is None:
            assert resolve(label) == "aux_percussion"
        else:
            assert fold(extended, "production") == production
        classifier = fold(label, "classifier")
        for coarse in ("five", "three"):
            assert fold(label, coarse) == (None if classifier is None else fold(classifier, coarse))


@pytest.mark.parametrize(
    ("label", "folds"),
    [
        ("rimshot", ("snare", "SD", "SD")),
        ("cross_stick", ("snare", "SD", "SD")),
        ("snare_off", ("snare", "SD", "SD")),
        ("hihat_pedal", ("hihat_closed", "HH", "HH")),
        ("hihat_foot_splash", ("hihat_open", "HH", "HH")),
        ("hihat_half", ("hihat_open", "HH", "HH")),
        ("ride_edge", ("ride", "CY", None)),
        ("splash", ("crash", "CY", None)),
        ("china", ("china", "CY", None)),
        ("tom_mid", ("tom_mid", "TT", None)),
        ("kick", ("kick", "KD", "KD")),
        ("cowbell", (None, None, None)),
        ("clap", (None, None, None)),
        ("aux_percussion", (None, None, None)),
    ],
)
def test_planted_folds(label: str, folds: tuple[str | None, ...]) -> None:
    assert (fold(label), fold(label, "five"), fold(label, "three")) == folds


def test_hihats_are_the_five_articulations_of_the_hat() -> None:
    hats = {label for label in CANONICAL if is_hihat(label)}
    assert hats == {"hihat_closed", "hihat_half", "hihat_open", "hihat_pedal", "hihat_foot_splash"}
    assert is_hihat("Open Hi-Hat")


def test_unknown_labels_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownLabelError, match=r"^unknown drum label 'snair'; did you mean 'snare'\?$"):
        resolve("snair")
    with pytest.raises(UnknownLabelError, match="did you mean 'hihat_closed'"):
        fold("hihat_clsoed", "five")
    # Half the letters are no likeness: a word of an old list must not be taken for a shaker.
    with pytest.raises(UnknownLabelError, match=r"unknown drum label 'basic'; known labels: kick, snare, "):
        resolve("basic")
    with pytest.raises(UnknownLabelError, match=r"unknown drum label '\?\?\?'; known labels: kick, snare, "):
        resolve("???")
    with pytest.raises(InputError, match="unknown drum label ''"):
        resolve("")
    assert not is_known("didgeridoo")


def test_unknown_vocabulary_is_refused() -> None:
    with pytest.raises(
        InputError, match="unknown vocabulary 'seven'; known: classifier, production, extended"
    ):
        fold("kick", "seven")


def test_digest_is_the_same_in_every_process() -> None:
    program = "from beatsight.taxonomy import digest; print(digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {taxonomy.digest()}
    assert len(taxonomy.digest()) == 64


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("ALIASES", {**ALIASES, "kettle": "tom_low"}),
        ("_TO_PRODUCTION", {**labels._TO_PRODUCTION, "cowbell": "ride_bell"}),
        ("_PRODUCTION_TO_CLASSIFIER", {**labels._PRODUCTION_TO_CLASSIFIER, "splash": "china"}),
        ("_CLASSIFIER_TO_FIVE", {**labels._CLASSIFIER_TO_FIVE, "china": "HH"}),
        ("VOCABULARIES", {**VOCABULARIES, "classifier": CLASSIFIER[::-1]}),
    ],
)
def test_digest_follows_every_table(
    table: str, change: object, monkeypatch: pytest.MonkeyPatch, fresh_caches: None
) -> None:
    before = labels.digest()
    monkeypatch.setattr(labels, table, change)
    for function in (labels.resolve, labels.fold, labels.digest):
        function.cache_clear()
    assert labels.digest() != before
