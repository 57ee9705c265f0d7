"""Training learns, resumes exactly, stops in time, and its parts follow their definitions."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import train
from averaging import AveragedNetwork
from checkpoints import compact, load_checkpoint, save_checkpoint
from history import read_history
from metrics import top_accuracy
from networks import CifarNetwork, make_network
from options import parse
from schedule import learning_rate, picture_side
from training import Training

# The pictures and the targets of a batch.
Step = tuple[torch.Tensor, torch.Tensor]


def assert_same(first: object, second: object) -> None:
    """Two states are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for pair in zip(first, second, strict=True):
            assert_same(*pair)
    else:
        assert first == second


def without_times(state: dict) -> dict:
    """The state without the history, whose seconds never repeat."""
    return {key: value for key, value in state.items() if key != "history"}


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["--smallest-area", "0.4", "--colours", "0.2"],
        ["--first-side", "16", "--last-side", "32", "--unmixed", "0.5"],
    ],
)
def test_resuming_gives_the_same_state(
    flags: list[str], changes: list[str], tmp_path: Path
) -> None:
    flags = [*flags, *changes, "--mixup", "0.3", "--cutmix", "0.3"]
    train.main([*flags, "--output", str(tmp_path / "unbroken")])
    slices = tmp_path / "slices" / "checkpoint.pt"
    for finished in (1, 2, 3, 4):
        # The first epoch of a run is always tried, any second one would be too late.
        train.main([*flags, "--output", str(slices.parent), "--time-limit", "0"])
        sliced = load_checkpoint(slices)
        assert len(sliced["history"]) == finished
    unbroken = load_checkpoint(tmp_path / "unbroken" / "checkpoint.pt")
    assert_same(without_times(unbroken), without_times(sliced))
    losses = [[row["train_loss"] for row in state["history"]] for state in (unbroken, sliced)]
    assert losses[0] == losses[1]


def test_the_log_has_a_row_per_epoch(flags: list[str], tmp_path: Path) -> None:
    train.main([*flags, "--output", str(tmp_path / "run")])
    rows = read_history(tmp_path / "run" / "training.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert all(row["device"] == "cpu" and float(row["images_per_second"]) > 0 for row in rows)


def test_twelve_pictures_are_learnt_by_heart(flags: list[str], tmp_path: Path) -> None:
    longer = ["--epochs", "40", "--padding", "0", "--peak-rate", "0.1"]
    train.main([*flags, *longer, "--output", str(tmp_path / "run")])
    last = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["history"][-1]
    assert last["train_top1"] == 100


def test_another_recipe_does_not_go_on_from_a_checkpoint(flags: list[str], tmp_path: Path) -> None:
    output = ["--output", str(tmp_path / "run")]
    train.main([*flags, *output])
    with pytest.raises(ValueError, match="another recipe"):
        train.main([*flags, *output, "--peak-rate", "0.3"])


def test_a_training_can_start_from_the_weights_of_another(flags: list[str], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train.main([*flags, "--output", str(first)])
    # At a rate of zero the weights stay what they were at the start.
    again = ["--start", str(first / "checkpoint.pt"), "--peak-rate", "0", "--epochs", "1"]
    train.main([*flags, *again, "--output", str(second)])
    states = [load_checkpoint(folder / "checkpoint.pt") for folder in (first, second)]
    assert torch.equal(states[0]["average"]["fc.weight"], states[1]["network"]["fc.weight"])
    assert [row["epoch"] for row in states[1]["history"]] == [1]


def test_training_goes_on_from_a_compact_checkpoint(flags: list[str], tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    train.main([*flags, "--output", str(checkpoint.parent)])
    whole_size = checkpoint.stat().st_size
    state = load_checkpoint(checkpoint)
    state["history"] = state["history"][:2]
    save_checkpoint(checkpoint, compact(state))
    assert checkpoint.stat().st_size < whole_size / 2
    train.main([*flags, "--output", str(checkpoint.parent)])
    assert len(load_checkpoint(checkpoint)["history"]) == 4


def test_the_average_moves_towards_the_network_with_its_statistics() -> None:
    source = make_network("cifar-resnet20", 2)
    average = AveragedNetwork(source, decay=0.9)
    average.updates = 1000
    for tensor in (source.fc.bias, source.bn1.running_mean):
        tensor.data.fill_(1.0)
    before = average.network.fc.bias.clone()
    average.update()
    assert torch.allclose(average.network.fc.bias, before + 0.1 * (1 - before))
    assert torch.allclose(average.network.bn1.running_mean, torch.full((16,), 0.1))


def test_no_decay_takes_the_last_weights() -> None:
    source = make_network("cifar-resnet20", 2)
    average = AveragedNetwork(source, decay=0.0)
    source.fc.bias.data.fill_(5.0)
    average.update()
    assert_same(dict(average.network.state_dict()), dict(source.state_dict()))


@pytest.mark.parametrize(
    ("progress", "schedule", "expected"),
    [
        (0.05, "cosine", 0.5),
        (0.1, "cosine", 1.0),
        (0.55, "cosine", 0.5),
        (1.0, "cosine", 0.0),
        (0.49, "steps", 1.0),
        (0.5, "steps", 0.1),
        (0.75, "steps", 0.01),
    ],
)
def test_learning_rates(progress: float, schedule: str, expected: float) -> None:
    rate = learning_rate(progress, schedule, peak=1.0, warmup=0.1)
    assert rate == pytest.approx(expected)


@pytest.mark.parametrize(
    ("progress", "side"), [(0.0, 80), (0.29, 80), (0.3, 96), (0.59, 96), (0.6, 112), (1.0, 112)]
)
def test_picture_sides(progress: float, side: int) -> None:
    assert picture_side(progress, first=80, last=112) == side


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """What every step of the trainings in a test was given."""
    seen: list[Step] = []
    step = Training.train_step

    def watched(training: Training, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append((images, targets))
        return step(training, images, targets)

    monkeypatch.setattr(Training, "train_step", watched)
    return seen


def test_pictures_grow_to_their_last_side(
    flags: list[str], tmp_path: Path, steps: list[Step]
) -> None:
    growing = ["--first-side", "16", "--last-side", "48", "--upscale", "2"]
    train.main([*flags, *growing, "--output", str(tmp_path / "run")])
    sides = [images.shape[2:] for images, _ in steps]
    assert sides == [(16, 16)] * 4 + [(32, 32)] * 4 + [(48, 48)] * 4


def test_training_and_validation_enlarge_wide_pictures_alike(
    flags: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for picture in data.rglob("*.png"):
        Image.new("RGB", (48, 32), "red").save(picture)
    shapes = set()
    seen = CifarNetwork.forward

    def watched(network: CifarNetwork, images: torch.Tensor) -> torch.Tensor:
        shapes.add((network.training, *images.shape[2:]))
        return seen(network, images)

    monkeypatch.setattr(CifarNetwork, "forward", watched)
    train.main([*flags, "--upscale", "2", "--epochs", "1", "--output", str(tmp_path / "run")])
    assert shapes == {(True, 64, 96), (False, 64, 96)}


def test_at_the_end_nothing_is_mixed(
    flags: list[str], tmp_path: Path, steps: list[Step]
) -> None:
    mixing = ["--mixup", "1", "--unmixed", "0.25"]
    train.main([*flags, *mixing, "--output", str(tmp_path / "run")])
    certain = [bool((targets.amax(1) == 1).all()) for _, targets in steps]
    assert not all(certain[:9])
    assert all(certain[9:])


@pytest.mark.parametrize(
    "wrong",
    [
        ["--save-every", "0"],
        ["--first-side", "80"],
        ["--last-side", "112"],
        ["--first-side", "80", "--last-side", "100"],
        ["--first-side", "8", "--last-side", "112"],
    ],
)
def test_what_cannot_work_is_refused_at_the_start(flags: list[str], wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*flags, "--output", "runs", *wrong])


@pytest.mark.parametrize(("limit", "epochs"), [("inf", 4), ("0", 1)])
def test_the_last_epoch_is_saved_however_seldom_others_are(
    flags: list[str], tmp_path: Path, limit: str, epochs: int
) -> None:
    output = tmp_path / "run"
    train.main([*flags, "--save-every", "3", "--time-limit", limit, "--output", str(output)])
    assert len(load_checkpoint(output / "checkpoint.pt")["history"]) == epochs


def test_top_accuracy_counts_the_label_anywhere_among_the_best() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    labels = torch.tensor([0, 1, 2, 2])
    assert top_accuracy(logits, labels, 1) == 50
    assert top_accuracy(logits, labels, 2) == 75
