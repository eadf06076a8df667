"""One file per source; each holds ``SOURCES``, and is listed in :mod:`beatsight.sources.catalogue`."""
