"""A model's answers, and how good they are.

scores         a model on a dataset's split: what it says of every moment, beside the truth
summary        every figure of that, with intervals (intervals) and the hardest mistakes (mistakes)
label_issues   labels that look wrong
writing        the files: JSON, page with sounds (listening), picture, predictions and truth
predict        any labelled rows with audio: predictions under the rows' own ids, for the gates
"""

from beatsight.evaluate.label_issues import find_label_issues
from beatsight.evaluate.predict import predict_rows
from beatsight.evaluate.scores import Evaluation, evaluate_model
from beatsight.evaluate.writing import draw_confusion, full_report, write_evaluation

__all__ = [
    "Evaluation",
    "draw_confusion",
    "evaluate_model",
    "find_label_issues",
    "full_report",
    "predict_rows",
    "write_evaluation",
]
