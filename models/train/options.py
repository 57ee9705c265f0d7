"""The command line of train.py: a named recipe, and a flag for each of its settings."""

import argparse
from collections.abc import Sequence
from dataclasses import Field, fields, replace
from pathlib import Path

import torch

from recipes import RECIPES, Recipe
from schedule import SIDE_STEP


def parse(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, Recipe]:
    """The options about this run, and the recipe with the flags' changes."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.save_every < 1:
        parser.error("--save-every: at least 1")
    changes = {
        setting.name: getattr(options, setting.name)
        for setting in fields(Recipe)
        if getattr(options, setting.name) is not None
    }
    recipe = replace(RECIPES[options.recipe], **changes)
    sides = (recipe.first_side, recipe.last_side)
    if sides != (0, 0) and not all(side >= SIDE_STEP and side % SIDE_STEP == 0 for side in sides):
        parser.error(f"--first-side and --last-side: both, and multiples of {SIDE_STEP}")
    return options, recipe


def make_parser() -> argparse.ArgumentParser:
    """A parser whose recipe flags come from the fields of Recipe."""
    parser = argparse.ArgumentParser(
        description="Train a residual network (or a plain one) on pictures in class folders. "
        "The same command again goes on from OUTPUT/checkpoint.pt.",
    )
    add_run_flags(parser.add_argument_group("this run"))
    group = parser.add_argument_group(
        "the recipe", "Changes to --recipe; the defaults named here are those of `cifar`."
    )
    for setting in fields(Recipe):
        add_recipe_flag(group, setting)
    return parser


def add_run_flags(group: argparse._ArgumentGroup) -> None:
    """The flags that do not change what is learnt, only where and for how long."""
    add = group.add_argument
    add("--data", type=Path, required=True, help="folder with train/CLASS/ and test/ or val/CLASS/")
    add("--output", type=Path, required=True, help="folder for the checkpoint and the log")
    add(
        "--recipe",
        choices=RECIPES,
        default="cifar",
        help="settings to start from (default: cifar, which any computer can run)",
    )
    add(
        "--start",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with the averaged weights of this finished training of the same network and "
        "classes (default: random weights); a second course of the learning rate often finds "
        "better ones",
    )
    add(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cuda or cpu (default: a GPU if there is one)",
    )
    add(
        "--precision",
        choices=("bf16", "f32"),
        default="bf16",
        help="of the layers' arithmetic (default: bf16, the weights stay f32; about twice as fast "
        "wherever the processor has instructions for it; take f32 on older ones)",
    )
    add(
        "--threads",
        type=int,
        default=0,
        help="CPU threads (default: 0, one per core; on a busy machine fewer are faster, because "
        "threads wait for one another)",
    )
    add(
        "--time-limit",
        type=float,
        default=float("inf"),
        metavar="SECONDS",
        help="stop before the first epoch that would not end within this time (default: none); "
        "for machines that end a command after a fixed time",
    )
    add(
        "--save-every",
        type=int,
        default=1,
        metavar="EPOCHS",
        help="epochs between two checkpoints (default: 1); more where an epoch takes only seconds",
    )
    add(
        "--per-class",
        type=int,
        default=0,
        metavar="N",
        help="use N pictures of each class only, to try a recipe out (default: 0, all)",
    )


def add_recipe_flag(group: argparse._ArgumentGroup, setting: Field) -> None:
    """One flag per setting; without it the recipe's value stays (None stands for 'not given')."""
    flag = "--" + setting.name.replace("_", "-")
    text = f"{setting.metadata['why']} (default: {setting.default})"
    if setting.type is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    group.add_argument(
        flag,
        type=setting.type,
        default=None,
        choices=setting.metadata["choices"] or None,
        metavar=setting.type.__name__.upper() if not setting.metadata["choices"] else "NAME",
        help=text,
    )
