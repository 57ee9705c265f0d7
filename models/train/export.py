"""Write a trained network's weights, labels and log as files for `resnet-serve model build`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from checkpoints import State, load_checkpoint, shrink
from history import write_history
from recipes import Recipe


def main(arguments: Sequence[str] | None = None) -> None:
    """Export one checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "checkpoint", type=Path, help="checkpoint.pt of a training, or a compact one"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--half",
        action="store_true",
        help="store convolutions and fc as float16: half the size, next to no loss (default: "
        "float32, exactly what the checkpoint has)",
    )
    parser.add_argument(
        "--names",
        type=Path,
        help="file of ID<TAB>LABEL lines, one for each class folder at least (default: the "
        "folders' names are the labels)",
    )
    options = parser.parse_args(arguments)
    state = load_checkpoint(options.checkpoint)
    options.output.mkdir(parents=True, exist_ok=True)
    weights = exported_weights(state, options.half)
    save_file(
        weights, options.output / "weights.safetensors", {"network": state["recipe"]["network"]}
    )
    # The library makes its files private; these are to be served by whoever runs the server.
    (options.output / "weights.safetensors").chmod(0o644)
    labels = label_lines(state["classes"], options.names)
    (options.output / "labels.tsv").write_text("".join(f"{line}\n" for line in labels))
    write_history(options.output / "training.csv", state["history"])
    print_facts(state)


def exported_weights(state: State, half: bool) -> dict[str, Tensor]:
    """Torchvision's names and tensors, without the batch counters, which inference never reads."""
    weights = {
        name: tensor
        for name, tensor in state["average"].items()
        if not name.endswith("num_batches_tracked")
    }
    return {
        # The file format knows one layout only, so channels-last tensors are laid out anew.
        name: (shrink(tensor) if half else tensor.float()).contiguous()
        for name, tensor in weights.items()
    }


def label_lines(classes: list[str], names: Path | None) -> list[str]:
    """ID<TAB>LABEL per class, in the order of the network's outputs."""
    if names is None:
        return [f"{name}\t{name}" for name in classes]
    labels = dict(line.split("\t", 1) for line in names.read_text().splitlines())
    return [f"{name}\t{labels[name]}" for name in classes]


def print_facts(state: State) -> None:
    """What has to be known to build and configure the model from the weights."""
    recipe, last = Recipe(**state["recipe"]), state["history"][-1]
    print(f"network   {recipe.network}, {len(state['classes'])} classes")
    print(f"upscale   {recipe.upscale}")
    print(f"mean      {state['mean']}")
    print(f"deviation {state['deviation']}")
    print(f"epochs    {last['epoch']} of {recipe.epochs}")
    print(f"top 1     {last['validation_top1']:.2f} %, top 5 {last['validation_top5']:.2f} %")


if __name__ == "__main__":
    main()
