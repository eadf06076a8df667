"""Names: the only home of drum labels, their MIDI notes and the technique catalogue."""

from beatsight.taxonomy.labels import (
    ALIASES,
    CANONICAL,
    CLASSIFIER,
    EXTENDED,
    FIVE_CLASS,
    PRODUCTION,
    THREE_CLASS,
    VOCABULARIES,
    UnknownLabelError,
    digest,
    fold,
    is_hihat,
    is_known,
    resolve,
)
from beatsight.taxonomy.midi import NOTE_MAPS, from_note, note_map, pedal_openness, to_note
from beatsight.taxonomy.techniques import Technique, load_techniques, resolve_technique, technique_families

__all__ = [
    "ALIASES",
    "CANONICAL",
    "CLASSIFIER",
    "EXTENDED",
    "FIVE_CLASS",
    "NOTE_MAPS",
    "PRODUCTION",
    "THREE_CLASS",
    "VOCABULARIES",
    "Technique",
    "UnknownLabelError",
    "digest",
    "fold",
    "from_note",
    "is_hihat",
    "is_known",
    "load_techniques",
    "note_map",
    "pedal_openness",
    "resolve",
    "resolve_technique",
    "technique_families",
    "to_note",
]
