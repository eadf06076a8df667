"""Results as pages: one offline HTML file each, with the drawings, sounds and numbers inside."""

from beatsight.report.demo import demo_page
from beatsight.report.demo_data import (
    ClassScore,
    DatasetSummary,
    DemoReport,
    Epoch,
    ExampleSong,
    HitScore,
    SongScore,
)
from beatsight.report.page import Page, Section, Verdict, render, write_page
from beatsight.report.song_data import HeardSong, heard_song
from beatsight.report.song_page import song_page, song_section, write_song_page
from beatsight.report.timeline import Hit

__all__ = [
    "ClassScore",
    "DatasetSummary",
    "DemoReport",
    "Epoch",
    "ExampleSong",
    "HeardSong",
    "Hit",
    "HitScore",
    "Page",
    "Section",
    "SongScore",
    "Verdict",
    "demo_page",
    "heard_song",
    "render",
    "song_page",
    "song_section",
    "write_page",
    "write_song_page",
]
