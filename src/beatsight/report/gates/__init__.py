"""Pages of gate reports, drawn from the same records that are written as JSON.

Every kind of report has a module here, named by its tag, with one function ``story(report)``; :mod:`common`
puts the verdict and the table of results before it.
"""

from beatsight.report.gates.common import Story, gate_page, story_of, write_gate_page

__all__ = ["Story", "gate_page", "story_of", "write_gate_page"]
