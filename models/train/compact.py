"""Make a checkpoint small enough to carry: weights and their average as float16, no momentum."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from checkpoints import compact, load_checkpoint, save_checkpoint


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the compact form of one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of a training")
    parser.add_argument(
        "compact", type=Path, help="file to write; train, export and reference take it too"
    )
    options = parser.parse_args(arguments)
    save_checkpoint(options.compact, compact(load_checkpoint(options.checkpoint)))
    print(f"{options.compact}: {options.compact.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
