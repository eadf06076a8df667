"""A stand-in for ``beatsight train`` whose scores are planted: macro F1 grows towards ``peak``.

    peak = 0.9 - 0.1 * log10(lr / 0.001)**2 - 0.2 * |dropout - 0.3| - 0.002 * |batch size - 16|

It writes what the real one writes. Some batch sizes are traps: 13 fails with a sentence, 17 is killed, 19
ends well with a metrics file cut short. A file ``slow`` beside the dataset makes an epoch take that many
seconds. Every start adds a line to ``starts.txt`` beside the dataset.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    options = argparse.ArgumentParser()
    for flag in ("--dataset", "--output", "--device", "--metrics-json", "--seed", "--patience", "--config"):
        options.add_argument(flag)
    for flag, kind, default in (("batch-size", int, 16), ("epochs", int, 2), ("lr", float, 1e-3)):
        options.add_argument(f"--{flag}", type=kind, default=default)
    options.add_argument("--dropout", type=float, default=0.3)
    given = options.parse_args()
    beside, output = Path(given.dataset).parent, Path(given.output)
    with (beside / "starts.txt").open("a") as stream:
        stream.write(f"{output.name} {given.device} {os.environ.get('OMP_NUM_THREADS', '')}\n")
    if given.batch_size == 13:
        sys.exit("beatsight: training stopped: the loss is nan in epoch 1.")
    if given.batch_size == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    slow = float((beside / "slow").read_text()) if (beside / "slow").exists() else 0.0
    peak = 0.9 - 0.1 * math.log10(given.lr / 0.001) ** 2
    peak -= 0.2 * abs(given.dropout - 0.3) + 0.002 * abs(given.batch_size - 16)
    history = []
    for epoch in range(1, given.epochs + 1):
        time.sleep(slow)
        score = peak * (1.0 - 0.5**epoch)
        history.append(
            {"epoch": epoch, "train_loss": 1 - score, "val_loss": 1.1 - score, "val_macro_f1": score}
        )
        lines = "".join(json.dumps(row) + "\n" for row in history)
        temporary = output / ".history"
        temporary.write_text(lines)
        temporary.replace(output / "history.jsonl")
    config = {
        "batch_size": given.batch_size,
        "epochs": given.epochs,
        "lr": given.lr,
        "dropout": given.dropout,
    }
    answer = {"best_epoch": given.epochs, "best": history[-1], "history": history, "config": config}
    text = json.dumps(answer)
    Path(given.metrics_json).write_text(text[:40] if given.batch_size == 19 else text)


if __name__ == "__main__":
    main()
