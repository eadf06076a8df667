"""Readiness gates: a manifest, predictions or measurements in, a report of one shape out.

Each gate is a module with a settings record (what a section of ``readiness.toml`` may hold) and one function
from settings to report. A report lists its :class:`~beatsight.gates.result.GateResult`s, says whether all
passed, and holds every number that its page draws. Nothing passes that has not been measured.
"""
