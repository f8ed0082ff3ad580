"""Tasks, networks and training: what is right by arithmetic, what a seed fixes, what is refused."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from todacomm import grokking
from todacomm.core.errors import InvalidInput, ModelUnavailable, TodacommError, TrainingFailed, UnknownName
from todacomm.training import digit_images as image_sources
from todacomm.training.networks import Shape, build_network, layer_names, networks, parameters_of
from todacomm.training.presets import (
    PRESETS,
    RunPlan,
    cells_of,
    hint_of,
    memory_of,
    plans_of,
    read_value,
    seeds_of,
    settings_of,
)
from todacomm.training.run_settings import Measured, Training
from todacomm.training.tasks import Task, operations
from todacomm.training.training_loop import Run, State, train

SMALL = Shape(width=16, hidden=24, layers=2, heads=4)


# Tasks


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("add", lambda a, b: (a + b) % 23),
        ("sub", lambda a, b: (a - b) % 23),
        ("mul", lambda a, b: a * b % 23),
        ("div", lambda a, b: a * pow(b, -1, 23) % 23),
        ("quadratic", lambda a, b: (a * a + a * b + b * b) % 23),
    ],
)
def test_answers_are_those_of_arithmetic(operation, answer):
    task = Task(operation, 23)
    expected = [answer(a, b) for a, b in task.pairs.tolist()]
    np.testing.assert_array_equal(task.labels, expected)
    assert len(task.pairs) == 23 * (22 if operation == "div" else 23)


def test_s5_composes_permutations():
    elements = list(permutations(range(5)))
    task = Task("s5")
    for i in (0, 1, 77, 5000, 14_399):
        a, b = (elements[k] for k in task.pairs[i])
        assert elements[task.labels[i]] == tuple(a[x] for x in b)
    assert task.characters is None
    assert "does not commute" in task.without_fourier


def test_a_split_is_disjoint_whole_and_fixed_by_its_seed():
    task = Task(prime=23, train_fraction=0.4)
    assert len(task.train) == round(0.4 * 23**2)
    np.testing.assert_array_equal(np.sort(np.concatenate([task.train, task.test])), np.arange(23**2))
    np.testing.assert_array_equal(task.train, Task(prime=23, train_fraction=0.4).train)
    assert not np.array_equal(task.train, Task(prime=23, train_fraction=0.4, seed=1).train)


def test_permuted_labels_are_of_training_pairs_only():
    right, wrong = Task(prime=23), Task(prime=23, permuted=0.5)
    differ = np.flatnonzero(right.labels != wrong.labels)
    assert set(differ) <= set(wrong.train)
    assert 0.4 < len(differ) / len(wrong.train) <= 0.5
    np.testing.assert_array_equal(np.sort(right.labels[right.train]), np.sort(wrong.labels[wrong.train]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"operation": "div", "prime": 12}, "12 is not prime.*such as 13"),
        ({"operation": "mul", "prime": 100}, "not prime"),
        ({"prime": 3}, "expected 5 or more"),
        ({"train_fraction": 0.0}, "above 0 and below 1"),
        ({"train_fraction": 1.0}, "above 0 and below 1"),
        ({"prime": 5, "train_fraction": 0.99}, "leaves"),
        ({"permuted": 1.5}, "from 0 to 1"),
    ],
)
def test_tasks_that_cannot_be_are_refused(given, message):
    with pytest.raises(InvalidInput, match=message):
        Task(**given)


def test_an_unknown_task_is_refused_with_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean 'add'"):
        Task("ad")


def test_composite_and_small_sizes_are_warned_of():
    assert "not prime" in Task(prime=100).warnings[0]
    assert "few" in Task(prime=59).warnings[0]
    assert not Task(prime=113).warnings


# Networks


@pytest.mark.parametrize("name", ["transformer", "mlp", "nanda", "pixels"])
def test_a_network_gives_logits_and_a_state_for_each_name(name):
    shape = replace(SMALL, layers=1) if name == "nanda" else SMALL
    network = build_network(name, inputs=11, classes=7, shape=shape, seed=0)
    inputs = torch.rand(5, 11) if name == "pixels" else torch.randint(0, 11, (5, 2))
    *states, logits = network.states(inputs)
    assert logits.shape == (5, 7)
    assert len(states) == len(network.names) == len(layer_names(name, shape))
    assert torch.equal(network(inputs), logits)
    assert parameters_of(name, inputs=11, classes=7, shape=shape) == sum(p.numel() for p in network.parameters())


def test_a_seed_makes_the_weights_and_leaves_torch_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (build_network("mlp", inputs=11, classes=11, shape=SMALL, seed=3) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_perceptron_is_that_of_concatenated_rows():
    network = build_network("mlp", inputs=11, classes=7, shape=SMALL, seed=0)
    pairs = torch.randint(0, 11, (20, 2))
    stream = network.embed(pairs).flatten(1)
    for layer in network.layers:
        stream = network.activation(layer(stream))
    torch.testing.assert_close(network(pairs), network.head(stream))


def test_the_one_layer_transformer_is_attention_as_written_out():
    """Token by token, with causal attention of the last over all three (Nanda et al. 2023)."""
    network = build_network("nanda", inputs=11, classes=7, shape=replace(SMALL, layers=1, activation="relu"), seed=0)
    pairs = torch.randint(0, 11, (6, 2))
    d, heads = 16, 4
    for pair, logits in zip(pairs, network(pairs), strict=True):
        stream = (
            torch.stack([network.embed.weight[pair[0]], network.embed.weight[pair[1]], network.equals])
            + network.positions
        )
        out = torch.zeros(d)
        for h in range(heads):
            part = slice(h * d // heads, (h + 1) * d // heads)
            q, k, v = (stream @ by[:, part] for by in (network.queries, network.keys, network.values))
            out[part] = torch.softmax(q[2] @ k.T / (d // heads) ** 0.5, dim=0) @ v
        last = stream[2] + out @ network.out
        last = last + torch.relu(last @ network.up + network.up_bias) @ network.down + network.down_bias
        torch.testing.assert_close(logits, network.head(last), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "shape", [{"width": 10}, {"hidden": 0}, {"activation": "swish"}, {"layers": 0}], ids=lambda given: next(iter(given))
)
def test_shapes_that_cannot_be_are_refused(shape):
    with pytest.raises(InvalidInput):
        Shape(**shape)


def test_nanda_has_one_layer():
    with pytest.raises(InvalidInput, match="one layer"):
        build_network("nanda", inputs=5, classes=5, shape=SMALL, seed=0)


# Training

TRAINING = Training(shape=SMALL, steps=60, batch=32, every=20)


def same(first, second):
    return (
        (first.step, first.train_loss, first.test_loss, first.weight_norm)
        == (second.step, second.train_loss, second.test_loss, second.weight_norm)
        and np.array_equal(first.logits, second.logits)
        and all(np.array_equal(first.clouds[k], second.clouds[k]) for k in first.clouds)
    )


@pytest.mark.parametrize(
    "name", [pytest.param("transformer", marks=pytest.mark.slow), "mlp", pytest.param("nanda", marks=pytest.mark.slow)]
)
def test_a_run_that_goes_on_from_its_state_is_the_run_that_was_never_stopped(name):
    shape = replace(SMALL, layers=1) if name == "nanda" else SMALL
    training = replace(TRAINING, network=name, shape=shape)
    task = Task(prime=13, train_fraction=0.5)
    whole = list(Run(task, training))
    for stop in (0, 7, 20, 33):
        first = Run(task, training)
        first.train_to(stop)
        kept = first.state()
        rest = list(Run(task, training, state=State(kept.step, {k: v.copy() for k, v in kept.tensors.items()})))
        expected = [c for c in whole if c.step > stop]
        assert [c.step for c in rest if c.step > stop] == [c.step for c in expected]
        assert all(same(a, b) for a, b in zip([c for c in rest if c.step > stop], expected, strict=True))


def test_batches_are_epochs_without_repetition():
    run = Run(Task(prime=13, train_fraction=0.5), TRAINING)
    count = len(run.task.train) // 32
    drawn = torch.cat([run._batch(step) for step in range(count)])
    assert len(drawn.unique()) == len(drawn) == 32 * count
    assert not torch.equal(run._batch(0), run._batch(count))


def test_adamw_is_that_of_torch_with_warm_up():
    """The run against a loop written out, with the same network and batches."""
    task, training = Task(prime=13, train_fraction=0.5), replace(TRAINING, batch=None, warm_up=4)
    run = Run(task, training)
    run.train_to(12)
    network = build_network("mlp", inputs=13, classes=13, shape=SMALL, seed=training.seed)
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), eps=1e-6, weight_decay=1.0)
    inputs, labels = torch.from_numpy(task.pairs[task.train]), torch.from_numpy(task.labels[task.train])
    for step in range(12):
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 5)
        torch.nn.functional.cross_entropy(network(inputs), labels).backward()
        optimiser.step()
        optimiser.zero_grad()
    for a, b in zip(run.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_checkpoint_is_what_the_network_gives():
    task = Task(prime=13, train_fraction=0.5)
    run = Run(task, TRAINING, Measured(points=30))
    run.train_to(20)
    found = run.checkpoint()
    with torch.no_grad():
        logits = run.network(torch.from_numpy(task.pairs))
        right = logits.argmax(1).numpy() == task.labels
    assert found.train_accuracy == pytest.approx(right[task.train].mean())
    assert found.test_accuracy == pytest.approx(right[task.test].mean())
    assert list(found.clouds) == ["embedding", "layer_0", "layer_1"]
    assert found.clouds["embedding"].shape == (13, 16)
    assert found.clouds["layer_1"].shape == (30, 24)
    np.testing.assert_array_equal(found.pairs.labels, task.labels[np.concatenate([task.train, task.test])])


def by_log1p(logits, labels):
    """The mean cross-entropy as log1p of what the wrong classes have, in long double."""
    wide = logits.astype(np.longdouble)
    ahead = np.exp(wide - wide[np.arange(len(labels)), labels][:, None])
    ahead[np.arange(len(labels)), labels] = 0
    return float(np.log1p(ahead.sum(axis=1)).mean())


@pytest.mark.parametrize(
    "task", [Task(prime=13, train_fraction=0.5), Task("mul", 11), grokking.Images("digits", 0.1)], ids=str
)
def test_losses_keep_their_digits_where_a_network_is_sure(task):
    """float32 has 1e-7 of one, so that a loss below it is noise: of controls without weight decay most of the run."""
    network = "pixels" if isinstance(task, grokking.Images) else "mlp"
    run = Run(task, replace(TRAINING, network=network, weight_decay=0.0, learning_rate=1e-2))
    run.train_to(150)
    train = len(task.train)
    for surer in (1, 3, 3):
        with torch.no_grad():
            run.network.head.weight *= surer
            run.network.head.bias *= surer
        found = run.checkpoint()
        labels = task.labels[run._evaluated]
        assert found.train_loss == pytest.approx(by_log1p(found.logits[:train], labels[:train]), rel=1e-6, abs=0)
        assert found.test_loss == pytest.approx(by_log1p(found.logits[train:], labels[train:]), rel=1e-6, abs=0)
    assert 0 < found.train_loss < 1e-9


def test_a_part_of_the_test_pairs_is_drawn_once():
    task = Task(prime=13, train_fraction=0.5)
    first, second = (Run(task, TRAINING, Measured(20, 40)) for _ in range(2))
    np.testing.assert_array_equal(first._evaluated, second._evaluated)
    assert len(first._evaluated) == len(task.train) + 40
    assert set(first._evaluated[len(task.train) :]) <= set(task.test)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_when():
    task = Task(prime=13, train_fraction=0.5)
    found = []
    with pytest.raises(TrainingFailed, match=r"by step 20 \(seed 46\).*smaller --learning-rate"):
        found.extend(c.step for c in Run(task, replace(TRAINING, learning_rate=1e30)))
    assert found == [0] or not found


def test_the_library_trains_with_settings():
    steps = [c.step for c in train(Task(prime=7, train_fraction=0.5), shape=SMALL, steps=20, every=10)]
    assert steps == [0, 10, 20]
    assert grokking.Task is Task
    with pytest.raises(InvalidInput, match="'decay' is no setting of a training"):
        list(train(Task(prime=7, train_fraction=0.5), decay=1))
    with pytest.raises(AttributeError):
        grokking.nothing  # noqa: B018 - the attribute is the test


# Images


def test_images_are_digits_where_the_hub_cannot_be_reached(monkeypatch):
    def unreachable():
        raise ModelUnavailable("no hub")

    monkeypatch.setattr(image_sources, "mnist", unreachable)
    found = grokking.Images(train_fraction=0.5)
    assert found.name == "digits"
    assert found.inputs.shape == (1797, 64)
    assert 0 <= found.inputs.min() <= found.inputs.max() <= 1
    with pytest.raises(ModelUnavailable):
        grokking.Images("mnist").inputs  # noqa: B018 - loads
    (first, *_) = Run(found, replace(TRAINING, network="pixels"), Measured(points=50))
    assert list(first.clouds) == ["layer_0", "layer_1"]
    assert first.pairs is None


# Presets


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_describes_runs_that_can_be_made(preset):
    settings = settings_of(preset)
    plans = plans_of(settings, [46, 47])
    assert [p.kind for p in plans] == 2 * ["run"] + 2 * ["permuted labels"] + 2 * ["no weight decay"]
    assert len({p.name for p in plans}) == 6
    shape = plans[0].shape
    assert networks[settings["network"]](11, 7, shape) is not None
    assert memory_of(settings) < 2**30
    assert plans[0].training.checkpoints[-1] == settings["steps"]


def test_the_settings_of_the_papers_are_as_published():
    """arXiv:2605.06352: AdamW β (0.9, 0.98), ε 1e-6, decay 0.1, 3e-3, 10 warm-up steps, batch 512, 60,000 steps."""
    training = RunPlan("x", "run", 46, settings_of("paper-transformer")).training
    assert (training.betas, training.epsilon, training.weight_decay, training.learning_rate) == (
        (0.9, 0.98),
        1e-6,
        0.1,
        3e-3,
    )
    assert (training.warm_up, training.batch, training.steps, training.interval) == (10, 512, 60_000, 500)
    assert training.shape == Shape(width=128, hidden=256, layers=2, heads=4, activation="gelu")
    assert RunPlan("x", "run", 46, settings_of("paper-mlp")).shape == Shape(128, 512, 3, 4, "gelu")
    nanda = RunPlan("x", "run", 46, settings_of("nanda")).training
    assert (nanda.learning_rate, nanda.weight_decay, nanda.batch) == (1e-3, 1.0, None)


@pytest.mark.parametrize(
    ("preset", "given", "expected"),
    [
        ("quick", {}, {"network": "mlp", "layers": 3, "learning_rate": 3e-3, "batch": 1024}),
        ("quick", {"network": "transformer"}, {"layers": 2, "learning_rate": 1e-3, "batch": 1024, "weight_decay": 1.0}),
        ("quick", {"network": "transformer", "learning_rate": 3e-3}, {"layers": 2, "learning_rate": 3e-3}),
        ("quick", {"network": "nanda"}, {"layers": 1, "activation": "relu", "batch": None, "learning_rate": 1e-3}),
        ("quick", {"task": "images"}, {"network": "pixels", "batch": 200, "initial_scale": 3.0, "weight_decay": 0.1}),
        ("paper-transformer", {}, {"layers": 2, "learning_rate": 3e-3, "batch": 512, "weight_decay": 0.1}),
        ("paper-transformer", {"network": "transformer"}, {"learning_rate": 3e-3}),
        ("paper-mlp", {"network": "transformer"}, {"layers": 2, "learning_rate": 1e-3, "batch": 512,
            "weight_decay": 0.1}),
        ("nanda", {"network": "mlp"}, {"layers": 3, "activation": "gelu", "batch": 1024, "learning_rate": 3e-3}),
        ("images", {"task": "add", "network": "mlp"}, {"batch": 1024, "initial_scale": 1.0, "weight_decay": 1.0,
            "learning_rate": 3e-3}),
        ("one-hidden-layer", {}, {"layers": 1, "activation": "relu", "learning_rate": 3e-3}),
        ("one-hidden-layer", {"network": "mlp"}, {"layers": 1, "activation": "relu", "learning_rate": 3e-3}),
    ],
)  # fmt: skip
def test_recipes_go_with_networks(preset, given, expected):
    found = settings_of(preset, given)
    assert {key: found[key] for key in expected} == expected
    assert RunPlan("x", "run", 46, found).training is not None


def test_a_network_that_is_not_the_presets_is_told_with_its_recipe():
    said = hint_of("quick", {"network": "transformer"})
    assert said == (
        "the network transformer is trained with layers 2, learning rate 0.001 where not given otherwise; made for it: "
        "--preset paper-transformer"
    )
    assert "layers" not in hint_of("quick", {"network": "transformer", "layers": 4})
    assert hint_of("quick", {"network": "mlp"}) == hint_of("nanda", {}) == ""


def test_every_cell_of_a_sweep_over_networks_has_the_recipe_of_its_own():
    from todacomm.runs.training_runs import experiment_of

    made = experiment_of("quick", {}, [1], sweep={"network": ["mlp", "transformer", "nanda"]}, controls=1)
    rates = {cell.name: plans[0].settings["learning_rate"] for cell, plans in made.runs}
    assert rates == {"network=mlp": 3e-3, "network=transformer": 1e-3, "network=nanda": 1e-3}


def test_memory_grows_with_the_cube_of_the_prime():
    small, large = (memory_of(settings_of("paper-mlp", {"prime": p})) for p in (113, 1130))
    assert large > 500 * small * 0.2
    assert large > 2e10


def test_a_sweep_is_every_combination():
    cells = cells_of({"weight_decay": [0, 1], "train_fraction": [0.2, 0.3, 0.5]})
    assert len(cells) == 6
    assert cells[1].name == "weight_decay=0,train_fraction=0.3"
    assert cells[1].changed == {"weight_decay": 0, "train_fraction": 0.3}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: settings_of("quik"), "Did you mean 'quick'"),
        (lambda: settings_of("quick", {"wieght_decay": 1}), "Did you mean 'weight_decay'"),
        (lambda: cells_of({"momentum": [1]}), "not a setting"),
        (lambda: settings_of("quick", {"train_fraction": 1.0}), "below 1"),
        (lambda: settings_of("quick", {"steps": 3}), "--steps 3"),
        (lambda: settings_of("quick", {"learning_rate": float("nan")}), "--learning-rate nan"),
        (lambda: settings_of("quick", {"task": "ad"}), "Did you mean 'add'"),
        (lambda: settings_of("quick", {"network": "pixels"}), "reads images"),
        (lambda: settings_of("quick", {"points": 3}), "--points 3"),
        (lambda: settings_of("quick", {"prime": 10**6}), "at most 100000"),
        (lambda: seeds_of("5-3"), "--seeds 5-3"),
        (lambda: seeds_of("4,4"), "each once"),
        (lambda: read_value("steps", "many"), "expected a whole number"),
    ],
)
def test_settings_that_cannot_be_are_refused(call, message):
    with pytest.raises(TodacommError, match=message):
        call()


def test_every_operation_has_characters_or_a_reason():
    for name, operation in operations.items():
        assert (operation.argument is None) == bool(operation.why), name
