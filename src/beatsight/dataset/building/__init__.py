"""The parts of :mod:`beatsight.dataset.build`.

:mod:`gather` turns events into columns, :mod:`cut` works on one audio file, :mod:`partial` keeps unfinished
work, :mod:`rows` writes the tables; :mod:`verify` only looks for faults, and :mod:`old_clips` reads the
folders of clips that an older system wrote.
"""
