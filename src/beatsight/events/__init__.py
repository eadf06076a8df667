"""Labelled drum moments: the typed records, their lines of JSON, their files."""

from beatsight.events.files import numbered_lines, read_events, read_records, write_records
from beatsight.events.lines import (
    check,
    check_all,
    decode,
    decode_as,
    encode,
    from_builtins,
    line_faults,
    to_builtins,
)
from beatsight.events.records import (
    Component,
    Context,
    Event,
    Loudness,
    Name,
    Prediction,
    Record,
    Unit,
    dynamic_bucket,
)

__all__ = [
    "Component",
    "Context",
    "Event",
    "Loudness",
    "Name",
    "Prediction",
    "Record",
    "Unit",
    "check",
    "check_all",
    "decode",
    "decode_as",
    "dynamic_bucket",
    "encode",
    "from_builtins",
    "line_faults",
    "numbered_lines",
    "read_events",
    "read_records",
    "to_builtins",
    "write_records",
]
