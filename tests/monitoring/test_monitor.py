"""A monitor in a training loop: what it records, and what goes wrong beside a training that goes on."""

import errno
import json
import os
import signal
import time

import numpy as np
import pytest
import torch
from torch import nn

import tiny_models
import todacomm as td
from todacomm.core.errors import CannotWrite, InvalidInput, UnknownName
from todacomm.monitoring import measuring
from todacomm.monitoring.recording import MonitorWarning, TopologyAlert
from todacomm.records import monitoring as records
from todacomm.records.monitoring import read_monitored, trajectory_of

slow = pytest.mark.slow


def table():
    torch.manual_seed(0)
    return nn.Embedding(40, 6)


def watching(network, directory, **settings):
    settings = {"clouds": {"embedding": lambda: network.weight}, "every": 1, "budget": 1.0, **settings}
    return td.Monitor(network, directory=directory, **settings)


def until(condition, seconds=60):
    """Wait for another process."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def answered(monitor):
    return lambda: not monitor._measuring._open or monitor._measuring._answers.qsize() >= len(monitor._measuring._open)


def trained(network, monitor, steps, before=lambda _: None):
    """The losses of a training."""
    optimiser, losses = torch.optim.SGD(network.parameters(), lr=0.1), []
    torch.manual_seed(1)
    for step in steps:
        before(step)
        loss = network(torch.randint(0, 40, (8,))).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if monitor is not None:
            monitor.step(step, loss=loss)
    return losses


@slow
def test_every_step_that_is_due_is_recorded_with_its_loss_and_read_as_a_trajectory(tmp_path):
    network = table()
    with watching(network, tmp_path, every=5) as monitor:
        losses = trained(network, monitor, range(1, 12))
    found = td.load(tmp_path)
    assert found.steps == (1, 5, 10)
    assert found.layers == ("embedding",)
    assert found.of_model["loss"] == pytest.approx([losses[0], losses[4], losses[9]])
    expected = td.measure({"embedding": network.weight}, resamples=0, null_draws=0, components=50)
    assert set(expected.names) < set(found.numbers)
    assert read_monitored(tmp_path).about.summary["measured"] == 3


@slow
def test_numbers_are_those_of_measure(tmp_path):
    network = table()
    with watching(network, tmp_path) as monitor:
        monitor.step(0)
    expected = td.measure({"embedding": network.weight}, resamples=0, null_draws=0)
    found = td.load(tmp_path)
    for name in ("H0_total_persistence", "H1_max_lifetime_scaled", "H1_screen", "scale", "norm", "distinct_points"):
        assert found[name][0, 0] == pytest.approx(expected[name][0])


@slow
def test_a_language_model_reads_texts_or_tokens_alike(tmp_path):
    tokenizer = tiny_models.tokenizer(ends=False)
    network = gpt2()
    texts = list(tiny_models.SENTENCES)
    tokens = [dict(torch_of(tokenizer(text))) for text in texts]
    for name, inputs, given in (("texts", texts, {"tokenizer": tokenizer}), ("tokens", tokens, {})):
        with td.Monitor(network, inputs, every=1, directory=tmp_path / name, **given) as monitor:
            monitor.step(0)
    first, second = (td.load(tmp_path / name) for name in ("texts", "tokens"))
    assert first.layers == second.layers == ("embedding", "layer_0", "layer_1", "layer_2", "final")
    assert np.allclose(first["H0_total_persistence"], second["H0_total_persistence"], rtol=1e-4)
    run = td.run(
        network, texts=td.Texts("texts", texts), tokenizer=tokenizer, pooling="mean", resamples=0, null_draws=0
    )
    assert first["H0_total_persistence"][0] == pytest.approx(run["H0_total_persistence"], rel=1e-4)


def torch_of(encoded):
    return {key: torch.tensor([value]) for key, value in encoded.items()}


def gpt2():
    import transformers as hf

    sizes = {"vocab_size": tiny_models.VOCABULARY, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64}
    ends = {"bos_token_id": tiny_models.START, "eos_token_id": tiny_models.END}
    return hf.GPT2LMHeadModel(hf.GPT2Config(**sizes, **ends))


@slow
def test_losses_are_the_same_with_and_without_it(tmp_path):
    alone = trained(table(), None, range(30))
    network = table()
    with watching(network, tmp_path) as monitor:
        assert trained(network, monitor, range(30)) == alone


@slow
def test_a_process_that_is_killed_costs_its_measurements_and_is_started_again(tmp_path):
    network, alone = table(), trained(table(), None, range(30))
    monitor = watching(network, tmp_path)

    def kill(step):
        if step == 5:
            until(answered(monitor))
            os.kill(monitor._measuring.process.pid, signal.SIGKILL)
            until(lambda: monitor._measuring.process.poll() is not None)

    with pytest.warns(MonitorWarning, match="the measuring process died") as told:
        losses = trained(network, monitor, range(30), kill)
        monitor.close()
    assert losses == alone
    assert len(told) == 1
    found = read_monitored(tmp_path)
    assert [row.step for row in found.steps] == list(range(30))
    assert [row.missing for row in found.steps if row.missing] == ["the measuring process died (signal 9)"]
    assert found.about.summary["missing"] == 1


@slow
def test_one_that_always_dies_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring.sys, "executable", "/bin/false")
    network, alone = table(), trained(table(), None, range(20))
    monitor = watching(network, tmp_path)
    with pytest.warns(MonitorWarning):
        losses = trained(network, monitor, range(20), lambda _: until(answered(monitor)))
        monitor.close()
    assert losses == alone
    found = read_monitored(tmp_path).steps
    assert len(found) == 20
    assert not any(row.layers for row in found)
    assert found[-1].missing == measuring.GIVEN_UP
    assert sum("exit code 1" in row.missing for row in found) == measuring.RESTARTS + 1


@slow
def test_a_full_disk_stops_nothing_and_what_could_not_be_written_is_written_later(tmp_path, monkeypatch):
    network, alone = table(), trained(table(), None, range(20))
    monitor = watching(network, tmp_path)
    append = records.append_lines

    def full(*_):
        raise CannotWrite("cannot write: No space left on device")

    def before(step):
        until(answered(monitor))
        broken = 5 <= step < 10
        monkeypatch.setattr("todacomm.monitoring.recording.append_lines", full if broken else append)

    with pytest.warns(MonitorWarning, match="No space left on device") as told:
        losses = trained(network, monitor, range(20), before)
        monitor.close()
    assert losses == alone
    assert len(told) == 1
    found = read_monitored(tmp_path).steps
    assert [row.step for row in found] == list(range(20))
    assert [row.step for row in found if row.complaints] == list(range(4, 9))
    assert "written late: cannot write: No space left on device" in found[5].complaints


@slow
def test_a_disk_that_stays_full_is_told_at_the_end(tmp_path, monkeypatch):
    network, alone = table(), trained(table(), None, range(5))
    monitor = watching(network, tmp_path)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.warns(MonitorWarning) as told:
        losses = trained(network, monitor, range(5))
        monitor.close()
    monkeypatch.undo()
    assert losses == alone
    assert sum("No space left" in str(one.message) for one in told) == 2
    assert "5 lines of" in str(told[-1].message)
    assert read_monitored(tmp_path).steps == ()


@slow
def test_layers_that_are_not_finite_are_told_and_the_others_measured(tmp_path):
    network, other = table(), torch.ones(20, 3).cumsum(0)
    clouds = {"embedding": lambda: network.weight, "sound": lambda: other}
    with pytest.warns(MonitorWarning, match="NaN or infinity"), watching(network, tmp_path, clouds=clouds) as monitor:
        monitor.step(0)
        network.weight.data[3] = torch.nan
        monitor.step(1)
    first, second = read_monitored(tmp_path).steps
    assert set(first.layers) == {"embedding", "sound"}
    assert set(second.layers) == {"sound"}
    assert "1 of 40 points hold NaN or infinity" in second.complaints[0]
    assert np.isnan(td.load(tmp_path).at("scale", "embedding")).tolist() == [False, True]


@slow
def test_what_a_network_raises_is_told_once_and_ends_nothing(tmp_path):
    network, broken = table(), []

    def weights():
        if broken:
            raise RuntimeError("CUDA out of memory")
        return network.weight

    with (
        pytest.warns(MonitorWarning, match="out of memory") as told,
        watching(network, tmp_path, clouds={"embedding": weights}) as monitor,
    ):
        losses = trained(network, monitor, range(6), lambda step: broken.append(step) if step == 3 else None)
    assert len(told) == 1
    assert losses == trained(table(), None, range(6))
    assert [bool(row.missing) for row in read_monitored(tmp_path).steps] == [False] * 3 + [True] * 3
    assert "RuntimeError: CUDA out of memory" in read_monitored(tmp_path).steps[4].missing


@slow
def test_more_than_may_wait_are_dropped_and_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "BYTES", 3 * 40 * 6 * 4)
    network = table()
    with pytest.warns(MonitorWarning, match="dropped"):
        monitor = watching(network, tmp_path)
        os.kill(monitor._measuring.process.pid, signal.SIGSTOP)
        trained(network, monitor, range(8))
        os.kill(monitor._measuring.process.pid, signal.SIGCONT)
        monitor.close()
    found = read_monitored(tmp_path).steps
    assert [row.step for row in found if row.missing == measuring.DROPPED] == [3, 4, 5, 6, 7]
    assert [row.step for row in found if row.layers] == [0, 1, 2]


@slow
def test_a_process_that_hangs_is_ended_with_the_monitor(tmp_path):
    network = table()
    monitor = watching(network, tmp_path)
    process = monitor._measuring.process
    os.kill(process.pid, signal.SIGSTOP)
    monitor.step(0)
    with pytest.warns(MonitorWarning, match="did not answer"):
        monitor.close(timeout=0.2)
    assert process.poll() is not None
    assert [row.missing for row in read_monitored(tmp_path).steps] == [measuring.NOT_IN_TIME]


@slow
def test_a_training_that_goes_on_replaces_what_came_after(tmp_path):
    network = table()
    with watching(network, tmp_path) as monitor:
        trained(network, monitor, range(6))
    lines = (tmp_path / records.LINES).read_text().splitlines()
    (tmp_path / records.LINES).write_text("\n".join(lines) + '\n{"schema": 1, "st')  # it was killed as it wrote
    with watching(network, tmp_path) as monitor:
        trained(network, monitor, range(3, 5))
    assert [row.step for row in read_monitored(tmp_path).steps] == [0, 1, 2, 3, 4]
    assert [json.loads(line)["step"] for line in (tmp_path / records.LINES).read_text().splitlines()] == [0, 1, 2, 3, 4]


@slow
def test_another_training_does_not_go_into_the_same_record(tmp_path):
    network = table()
    with watching(network, tmp_path) as monitor:
        monitor.step(0)
    with pytest.raises(InvalidInput, match="a new one"):
        watching(network, tmp_path, clouds={"other": lambda: network.weight})


@slow
def test_rules_flag_and_stop_with_the_step(tmp_path):
    network = table()
    with pytest.warns(TopologyAlert) as told, watching(network, tmp_path) as monitor:
        monitor.alert("embedding:relative_scale:ratio<0.5", action="stop", consecutive=2).alert("loss>5")
        for step in range(6):
            if step == 3:
                network.weight.data = 1 + 0.01 * network.weight.data
            monitor.step(step, loss=float(step))
            until(answered(monitor))
            if monitor.stopped:
                break
    assert step == 5  # what is measured at step 3 is known at the next
    assert [(one.step, one.layer, one.rule.action) for one in monitor.fired] == [
        (4, "embedding", "stop"),
        (5, "embedding", "stop"),
    ]
    assert "step 4: embedding:relative_scale:ratio < 0.5 in 2 measurements in a row" in str(told[0].message)
    assert "the training is to stop" in str(told[0].message)
    assert len(told) == 1
    assert [bool(row.alerts) for row in read_monitored(tmp_path).steps] == [False, False, False, False, True, True]


class Run:
    """What Weights & Biases and trackio give."""

    def __init__(self, *, fails=False):
        self.logged, self.fails = {}, fails

    def log(self, numbers, step):
        if self.fails:
            raise ConnectionError("no network")
        self.logged[step] = numbers


class Writer:
    """A SummaryWriter."""

    def __init__(self):
        self.scalars = []

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))


@slow
def test_numbers_go_to_tensorboard_and_to_a_run(tmp_path):
    network, run, writer = table(), Run(), Writer()
    with watching(network, tmp_path, log=run, tensorboard=writer, scalars=["scale", "H1_screen"]) as monitor:
        monitor.step(7)
    found = td.load(tmp_path)
    assert run.logged == {
        7: {f"topology/embedding/{name}": found[name][0, 0] for name in ("scale", "H1_screen")},
    }
    assert writer.scalars == [(tag, value, 7) for tag, value in run.logged[7].items()]


@slow
def test_a_run_that_fails_ends_nothing(tmp_path):
    network = table()
    with pytest.warns(MonitorWarning, match="no network"), watching(network, tmp_path, log=Run(fails=True)) as monitor:
        monitor.step(0)
    [row] = read_monitored(tmp_path).steps
    assert row.layers
    assert "ConnectionError: no network" in row.complaints[0]


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"clouds": None}, InvalidInput, "nothing is watched"),
        ({"every": "1%"}, InvalidInput, "total_steps"),
        ({"budget": 0}, InvalidInput, "budget=0"),
        ({"inputs": ["one", "two"]}, InvalidInput, "need a tokenizer"),
        ({"inputs": [torch.zeros(2, 3)]}, InvalidInput, "name modules"),
        ({"inputs": "one"}, InvalidInput, "a list of texts"),
        ({"pooling": "meen"}, UnknownName, "mean"),
        ({"scalars": ["scal"]}, UnknownName, "scale"),
        ({"log": 3}, InvalidInput, "wandb.init"),
        ({"tensorboard": 3}, InvalidInput, "SummaryWriter"),
    ],
)
def test_mistakes_are_told_before_the_training(tmp_path, given, error, says):
    with pytest.raises(error, match=says):
        watching(table(), tmp_path, **given)


def test_a_record_without_a_measurement_says_why(tmp_path):
    row = records.MonitoredStep(3, missing="dropped")
    records.append_lines(tmp_path, [row])
    about = records.Monitoring("mine", ("a",), "", "", "mean", td.Recipe(), 1, 0.05)
    records.MONITORING_RECORD.write(tmp_path, about)
    with pytest.raises(td.TodacommError, match="measured no step: dropped"):
        trajectory_of(read_monitored(tmp_path))
