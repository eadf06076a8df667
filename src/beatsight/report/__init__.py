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
from beatsight.report.timeline import Hit

__all__ = [
    "ClassScore",
    "DatasetSummary",
    "DemoReport",
    "Epoch",
    "ExampleSong",
    "Hit",
    "HitScore",
    "Page",
    "Section",
    "SongScore",
    "Verdict",
    "demo_page",
    "render",
    "write_page",
]
