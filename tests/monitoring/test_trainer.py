"""The Trainer of transformers and Lightning train a tiny model beside a monitor."""

import numpy as np
import pytest
import torch
import transformers as hf

import tiny_models
import todacomm as td
from todacomm.monitoring.recording import TopologyAlert
from todacomm.records.monitoring import read_monitored

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
STEPS = 20


def network():
    torch.manual_seed(0)
    sizes = {"vocab_size": tiny_models.VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    ends = {"bos_token_id": tiny_models.START, "eos_token_id": tiny_models.END}
    return hf.GPT2LMHeadModel(hf.GPT2Config(**sizes, **ends, resid_pdrop=0.2))


def rows():
    ids = torch.randint(5, 300, (64, 12), generator=torch.Generator().manual_seed(1))
    return [{"input_ids": row, "labels": row} for row in ids]


def trainer(directory, callbacks=(), **more):
    settings = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "logging_steps": 1, **more}
    arguments = hf.TrainingArguments(
        str(directory),
        max_steps=STEPS,
        save_steps=10,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=3,
        **settings,
    )
    model = network()
    return hf.Trainer(
        model,
        arguments,
        train_dataset=rows(),
        callbacks=list(callbacks),
        processing_class=tiny_models.tokenizer(ends=True),
    )


def losses_of(trained):
    return [row["loss"] for row in trained.state.log_history if "loss" in row]


def watching(**settings):
    return td.TopologyCallback(list(tiny_models.SENTENCES), **{"every": 5, "budget": 1.0, **settings})


def test_losses_are_the_same_and_every_step_that_is_due_is_there(tmp_path):
    alone = trainer(tmp_path / "alone")
    alone.train()
    watched = trainer(tmp_path / "watched", [watching()])
    watched.train()
    assert losses_of(watched) == losses_of(alone)
    assert len(losses_of(alone)) == STEPS
    found = td.load(tmp_path / "watched" / "topology")
    assert found.steps == (0, 5, 10, 15, 20)
    assert found.layers == ("embedding", "layer_0", "layer_1", "final")
    assert np.isnan(found.of_model["loss"]).tolist() == [True, False, False, False, False]
    assert found.of_model["loss"][1] == pytest.approx(losses_of(watched)[3])  # told before this step


def test_a_training_that_goes_on_from_a_checkpoint_goes_on_in_the_record(tmp_path):
    trainer(tmp_path, [watching()]).train()
    trainer(tmp_path, [watching()]).train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    assert td.load(tmp_path / "topology").steps == (0, 5, 10, 15, 20)


@pytest.mark.filterwarnings("always::todacomm.monitoring.recording.TopologyAlert")
def test_a_rule_ends_the_training(tmp_path):
    rule = {"rule": "*:H0_count>1", "action": "stop"}
    callback = watching(alerts=[rule], every=1)
    with pytest.warns(TopologyAlert, match="the training is to stop"):
        stopped = trainer(tmp_path, [callback, Patient(callback)])
        stopped.train()
    assert callback.monitor.stopped
    assert stopped.state.global_step < STEPS
    assert read_monitored(tmp_path / "topology").steps[0].alerts


class Patient(hf.TrainerCallback):
    """Wait after each step until it is measured, since a tiny model trains faster than its measuring process starts."""

    def __init__(self, callback):
        self.callback = callback

    def on_step_end(self, *_, **__):
        from test_monitor import answered, until

        until(answered(self.callback.monitor))


def test_bfloat16_and_checkpointing_leave_the_losses_as_they_are(tmp_path):
    losses = []
    for name, callbacks in (("alone", []), ("watched", [watching()])):
        one = trainer(tmp_path / name, callbacks, bf16=True, activation_checkpointing=True)
        one.train()
        losses.append(losses_of(one))
    assert losses[0] == losses[1]
    assert len(td.load(tmp_path / "watched" / "topology")) == 5


@pytest.mark.filterwarnings("ignore")  # of Lightning itself: loggers, workers, no validation
def test_lightning(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")
    from todacomm.monitoring.lightning_callback import LightningTopologyCallback

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model, self.losses = network(), []

        def training_step(self, batch, _):
            loss = self.model(**batch).loss
            self.losses.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    def trained(directory, callbacks):
        module = Module()
        lightning.seed_everything(1, verbose=False)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        runner = lightning.Trainer(
            max_steps=STEPS, callbacks=callbacks, default_root_dir=directory, enable_checkpointing=False, **quiet
        )
        runner.fit(module, torch.utils.data.DataLoader(rows(), batch_size=4))
        return module.losses, runner

    settings = {"tokenizer": tiny_models.tokenizer(ends=True), "watched": "model", "every": 5, "budget": 1.0}
    callback = LightningTopologyCallback(list(tiny_models.SENTENCES), **settings)
    alone, _ = trained(tmp_path / "alone", [])
    watched, _ = trained(tmp_path / "watched", [callback])
    assert watched == alone
    found = td.load(tmp_path / "watched" / "topology")
    assert found.steps == (0, 5, 10, 15, 20)
    assert found.of_model["loss"][1] == pytest.approx(alone[4])
