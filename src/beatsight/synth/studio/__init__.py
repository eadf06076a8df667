"""Recorded kits played by human performances: songs of real samples with exact labels.

What is there:

- ``bank``: all strokes of some kits, decoded and sorted by drum; ``sounding``: one stroke as a song uses it;
  ``drumset``: the pieces of one song and their tuning, damping, microphones and levels.
- ``performances``: MIDI files of drummers as strokes; ``playing``: what is played in a song; ``variations``:
  how that differs from what a drummer played.
- ``mixing``: strokes into a track, rooms and the drum bus; ``filters``, ``codec``: its parts; ``damage``:
  bleed, tape and MP3.
- ``backing``: the rest of the song; ``strings``, ``voice``: its instruments; ``instruments``, ``soundfonts``:
  those of recorded notes; ``guitars``: what a strumming hand makes of them.
- ``synthetic``, ``jingles``: drums and tambourines of which there are no recordings.
- ``song``: a song of all of this, and its events; ``inputs``, ``writing``: a set of songs from and on disk.

Conventions everywhere: mono float32 at 44.1 kHz, times in seconds from the start of the song, velocity and
openness 0..1, labels canonical. Every function that chooses takes the generator it draws from, and draws in a
fixed order: a song is its seed and its number.
"""
