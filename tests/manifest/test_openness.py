"""Openness from pedal values: the curves, against a plain computation, and everything else left as it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from event_strategies import event_dicts, odd_events, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError
from beatsight.events import Event, decode, read_records, to_builtins, write_records
from beatsight.manifest.openness import PACKAGED_CURVES, Breakpoint, Curve, apply_openness, load_curves

VENDORS: dict[str, Any] = json.loads(PACKAGED_CURVES.read_text())["vendors"]


def row(*raws: Any, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "sample_id": "a", "session_id": "s", "onset_time": 0.5,
        "device_vendor": "Roland", "device_model": "TD-50",
        "components": [
            {"label": "hihat_open"} | ({} if raw is None else {"openness_raw": raw}) for raw in raws
        ],
    }  # fmt: skip
    return event | changes


def write_curves(path: Path, **vendors: Any) -> Path:
    path.write_text(json.dumps({"vendors": vendors}))
    return path


def curve(*points: tuple[float, float], offset: float = 0.0, curve_id: str = "c") -> dict[str, Any]:
    breakpoints = [{"raw": raw, "normalized": value} for raw, value in points]
    return {"curve_id": curve_id, "offset": offset, "breakpoints": breakpoints}


class TestCurves:
    def test_the_packaged_curves_are_the_published_ones(self, shared: Path) -> None:
        published = json.loads((shared / "data/peer-examples/calibration/openness_curves.json").read_text())
        assert published["vendors"] == VENDORS
        known = load_curves()
        for vendor, models in published["vendors"].items():
            for model, fields in models.items():
                found = known.pop((vendor.lower(), model.lower()))
                assert (found.curve_id, found.offset) == (fields["curve_id"], fields["offset"])
                assert [(p.raw, p.normalized) for p in found.breakpoints] == [
                    (p["raw"], p["normalized"]) for p in fields["breakpoints"]
                ]
        assert not known

    def test_every_step_of_every_curve(self) -> None:
        for (vendor, model), found in load_curves().items():
            (fields,) = (
                fields
                for name, models in VENDORS.items()
                for other, fields in models.items()
                if (name.lower(), other.lower()) == (vendor, model)
            )
            at = [point["raw"] for point in fields["breakpoints"]]
            to = [point["normalized"] for point in fields["breakpoints"]]
            wanted = np.clip(np.interp(np.arange(0, 127.5, 0.5), at, to) + fields["offset"], 0, 1)
            assert [found.openness(raw) for raw in np.arange(0, 127.5, 0.5)] == pytest.approx(
                wanted, abs=1e-6
            )

    @pytest.mark.parametrize(
        ("raw", "offset", "wanted"),
        [
            (20, 0.0, 0.2), (15, 0.0, 0.1), (0, 0.0, 0.0), (10, 0.0, 0.0), (30, 0.0, 0.6), (40, 0.0, 1.0),
            (127, 0.0, 1.0), (127, 0.5, 1.0), (0, -0.5, 0.0), (30, -0.5, 0.1), (20, 0.05, 0.25),
        ],
    )  # fmt: skip
    def test_values_by_hand(self, raw: float, offset: float, wanted: float) -> None:
        points = (Breakpoint(10, 0.0), Breakpoint(20, 0.2), Breakpoint(40, 1.0))
        assert Curve("c", points, offset).openness(raw) == pytest.approx(wanted, abs=1e-9)

    @pytest.mark.parametrize(
        ("vendors", "why"),
        [
            ({"V": {"M": curve((5, 0), (5, 1))}}, r"V M: the raw values of the breakpoints must rise$"),
            ({"V": {"M": curve((9, 0), (5, 1))}}, r"V M: the raw values of the breakpoints must rise$"),
            ({"V": {"M": curve()}}, r"is not a file of openness curves: .*length >= 1.*breakpoints"),
            ({"V": {"M": curve((128, 0))}}, r"is not a file of openness curves: .*<= 127"),
            ({"V": {"M": curve((1, 1.5))}}, r"is not a file of openness curves: .*<= 1"),
            ({"V": {"M": curve((1, 1), offset=2)}}, r"is not a file of openness curves: .*offset"),
            ({"V": {"M": curve((1, 1), curve_id="")}}, r"is not a file of openness curves: .*curve_id"),
            ({"V": {"M": [1]}}, r"is not a file of openness curves: Expected `object`, got `array`"),
            ({"V": {"M": curve((1, 1)), "m ": curve((1, 1))}}, r"V m  is listed twice$"),
            ({"V": {"M": curve((1, 1))}, "v": {"M": curve((1, 1))}}, r"v M is listed twice$"),
        ],
    )
    def test_faulty_curves(self, tmp_path: Path, vendors: dict[str, Any], why: str) -> None:
        path = write_curves(tmp_path / "curves.json", **vendors)
        with pytest.raises(InputError, match=rf"curves\.json: {why}"):
            load_curves(path)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"curves": {}}', b'{"vendors": {"\xff": {}}}'])
    def test_no_curves(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "curves.json").write_bytes(content)
        with pytest.raises(InputError, match=r"curves\.json: is not a file of openness curves: "):
            load_curves(tmp_path / "curves.json")
        with pytest.raises(InputError, match=r"none\.json: cannot be read: No such file"):
            load_curves(tmp_path / "none.json")


def plain(event: dict[str, Any]) -> dict[str, Any]:
    """The rule for one row, with numpy's interpolation and the packaged file as parsed."""
    vendor, model = event.get("device_vendor"), event.get("device_model")
    raws = [part.get("openness_raw") for part in event["components"]]
    found = [
        fields
        for name, models in VENDORS.items()
        for other, fields in models.items()
        if vendor and model
        if (name.lower(), other.lower()) == (vendor.strip().lower(), model.strip().lower())
    ]
    if not found or all(raw is None for raw in raws):
        return event
    points = found[0]["breakpoints"]
    parts = []
    for part, raw in zip(event["components"], raws, strict=True):
        if raw is not None:
            value = np.interp(raw, [p["raw"] for p in points], [p["normalized"] for p in points])
            part = part | {"openness": round(float(np.clip(value + found[0]["offset"], 0, 1)), 6)}
        parts.append(part)
    return event | {"components": parts, "openness_curve_id": found[0]["curve_id"]}


def test_twenty_thousand_odd_rows(tmp_path: Path) -> None:
    rows = odd_events(20_000, seed=21)
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    wanted = [plain(one) for one in rows]
    changed = [one != two for one, two in zip(rows, wanted, strict=True)]
    touched = [
        one.get("openness_curve_id") is not None
        and any(p.get("openness_raw") is not None for p in one["components"])
        for one in wanted
    ]
    report = apply_openness(source, tmp_path / "out.jsonl")
    before = source.read_bytes().splitlines()
    after = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(after) == report.events == 20_000
    assert report.updated_events == sum(touched) > 1000
    hits = [sum(p.get("openness_raw") is not None for p in one["components"]) for one in wanted]
    assert report.updated_components == sum(n for n, mine in zip(hits, touched, strict=True) if mine)
    for number, (old, new, one) in enumerate(zip(before, after, wanted, strict=True)):
        if changed[number]:
            got = json.loads(new)
            assert got == one
            # The keys keep their order, new ones come last.
            assert [key for key in got if key in rows[number]] == list(rows[number])
        elif not touched[number]:
            assert new == old
    raw = [any(p.get("openness_raw") is not None for p in one["components"]) for one in rows]
    unknown: dict[str, int] = {}
    without = 0
    for one, has, mine in zip(rows, raw, touched, strict=True):
        vendor, model = one.get("device_vendor"), one.get("device_model")
        if has and not (vendor and model):
            without += 1
        elif has and not mine:
            unknown[f"{vendor} {model}"] = unknown.get(f"{vendor} {model}", 0) + 1
    assert (report.unknown_devices, report.without_device) == (unknown, without)
    assert without > 100 and unknown
    assert sum(device["events"] for device in report.devices.values()) == report.updated_events
    assert {"roland td-50"} <= report.devices.keys()

    # From and to Parquet the same events, the same report, a dry run included.
    write_records(tmp_path / "in.parquet", read_records(source, Event))
    assert apply_openness(tmp_path / "in.parquet", tmp_path / "out.parquet") == report
    assert apply_openness(tmp_path / "in.parquet", None) == report
    assert [to_builtins(event) for event in read_records(tmp_path / "out.parquet", Event)] == [
        to_builtins(event) for event in read_records(tmp_path / "out.jsonl", Event)
    ]
    # Done again, onto itself: nothing changes.
    again = (tmp_path / "out.jsonl").read_bytes()
    assert apply_openness(tmp_path / "out.jsonl", tmp_path / "out.jsonl") == report
    assert (tmp_path / "out.jsonl").read_bytes() == again


@settings(max_examples=50)
@given(rows=st.lists(event_dicts, min_size=1, max_size=5))
def test_any_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    source = write_jsonl(folder / "in.jsonl", rows)
    apply_openness(source, folder / "out.jsonl.gz")
    lines = gzip.decompress((folder / "out.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line) for line in lines] == [plain(one) for one in rows]


def test_what_is_not_touched_stays_byte_for_byte(tmp_path: Path) -> None:
    lines = [
        json.dumps(row(64, device_vendor="None")).encode() + b" \r",
        json.dumps(row(None, None), separators=(" ,", " : ")).encode() + b"\r",
        json.dumps(row(64)).encode() + b"\r",
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([*lines[:2], b"\r", lines[2]]))
    apply_openness(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    out = (tmp_path / "out.jsonl").read_bytes().split(b"\n")
    assert out[:2] == lines[:2] and out[3:] == [b""]
    assert json.loads(out[2]) == plain(row(64))


def test_unknown_keys_and_large_numbers_stay(tmp_path: Path) -> None:
    odd = row(
        0, 127, None, mine={"b": 2**70, "a": [1e300, -0.0, None, {"ü": "\u2028🥁"}]}, bar_index=2**63 - 1
    )
    source = write_jsonl(tmp_path / "in.jsonl", [odd])
    apply_openness(source, source)
    assert json.dumps(json.loads(source.read_bytes())) == json.dumps(plain(odd))


def test_devices_are_found_whatever_their_spelling(tmp_path: Path) -> None:
    curves = write_curves(
        tmp_path / "curves.json", **{"Two  Words": {"M  1": curve((0, 0), (100, 1), curve_id="mine")}}
    )
    names = [
        ("two  words", "m  1"),
        (" TWO  WORDS", "M  1 "),
        ("two words", "m 1"),
        ("", "m"),
        ("two  words", None),
    ]
    rows = [row(50, 100, device_vendor=vendor, device_model=model) for vendor, model in names]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    report = apply_openness(source, tmp_path / "out.jsonl", curves)
    assert report.devices == {"two  words m  1": {"curve_id": "mine", "events": 2, "components": 4}}
    assert report.unknown_devices == {"two words m 1": 1}
    assert report.without_device == 2
    got = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [[part.get("openness") for part in one["components"]] for one in got] == [[0.5, 1.0]] * 2 + [
        [None] * 2
    ] * 3


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [row(64)])
    assert apply_openness(source, None).updated_events == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], r"in\.jsonl: holds no events$"),
        ([row(128)], r"in\.jsonl:1: components\[0\]\.openness_raw: Expected `?float"),
        ([row(1), row(1, onset_time=-1)], r"in\.jsonl:2: onset_time: Expected `?float"),
    ],
)
def test_faulty_rows_leave_the_old_file(tmp_path: Path, lines: list[Any], why: str) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", lines)
    (tmp_path / "out.jsonl").write_text("old")
    for output in (tmp_path / "out.jsonl", None):
        with pytest.raises(InputError, match=why):
            apply_openness(source, output)
    assert (tmp_path / "out.jsonl").read_text() == "old"


def test_a_number_beyond_all_bounds_is_a_fault_of_its_row(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        json.dumps(row(None)) + "\n" + json.dumps(row(1))[:-1] + ', "mine": 1e400}\n'
    )
    with pytest.raises(InputError, match=r"in\.jsonl:2: mine: is inf, not a finite number$"):
        apply_openness(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_a_gzip_cut_short_keeps_the_old_file(tmp_path: Path) -> None:
    data = gzip.compress(b"\n".join(json.dumps(one).encode() for one in odd_events(300, 1)))
    (tmp_path / "in.jsonl.gz").write_bytes(data[:-100])
    with pytest.raises(InputError, match=r"in\.jsonl\.gz: the compressed file is damaged after line \d+"):
        apply_openness(tmp_path / "in.jsonl.gz", tmp_path / "in.jsonl.gz")
    assert (tmp_path / "in.jsonl.gz").read_bytes() == data[:-100]
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl.gz"]


def test_the_result_is_an_event_that_names_its_curve(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", [row(64)])
    apply_openness(source, tmp_path / "out.jsonl")
    event = decode((tmp_path / "out.jsonl").read_bytes(), Event, "out")
    curves = load_curves()
    assert event.openness_curve_id == curves["roland", "td-50"].curve_id
    assert event.components[0].openness == curves["roland", "td-50"].openness(64)
    assert msgspec.to_builtins(event)["device_model"] == "TD-50"
