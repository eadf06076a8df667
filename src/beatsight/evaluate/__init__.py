"""A model's answers, and how good they are.

scores     a dataset's split: per-class report, confusion matrix, truth and predictions on disk
predict    any labelled rows with audio: predictions under the rows' own ids, for the gates
"""

from beatsight.evaluate.predict import predict_rows
from beatsight.evaluate.scores import Evaluation, draw_confusion, evaluate_model, write_evaluation

__all__ = ["Evaluation", "draw_confusion", "evaluate_model", "predict_rows", "write_evaluation"]
