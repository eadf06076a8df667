"""beatsight: labelled drum recordings in, a trusted transcription model and playable charts out."""

from beatsight.version import VERSION as __version__

__all__ = ["__version__"]
