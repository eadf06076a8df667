"""``python -m beatsight`` is the ``beatsight`` program."""

from beatsight.cli.main import run

if __name__ == "__main__":
    run()
