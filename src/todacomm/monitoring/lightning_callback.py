"""Watch a training by Lightning: ``from todacomm.monitoring.lightning_callback import LightningTopologyCallback``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from todacomm.core.errors import MissingExtra

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError:
    try:
        from pytorch_lightning import Callback
    except ModuleNotFoundError:
        raise MissingExtra("lightning", "lightning", "LightningTopologyCallback") from None

from todacomm.monitoring.monitor import Monitor
from todacomm.monitoring.starting import Alerts, started
from todacomm.monitoring.trainer_callback import DIRECTORY

MANY = 10**9  # a Lightning trainer without an end says -1 or infinity


class LightningTopologyCallback(Callback):  # type: ignore[misc]
    """Measure the topology of a module while Lightning trains it, as `todacomm.TopologyCallback` does for transformers.

    Give it to ``Trainer(callbacks=[...])``. Among several processes the first one measures; a rule with
    ``action="stop"`` ends the training.

    Parameters
    ----------
    inputs : texts or batches, optional
        What the module reads, as of `todacomm.Monitor`.
    watched : str, optional
        The name of the attribute that holds the network, such as ``"model"``; by default the module itself.
    alerts : sequence of str or mappings, default ()
        Rules as of `todacomm.Monitor.alert`.
    **settings
        Keywords of `todacomm.Monitor`. ``directory`` is ``topology`` inside ``default_root_dir`` by default.

    """

    def __init__(self, inputs: Any = None, *, watched: str = "", alerts: Alerts = (), **settings: Any) -> None:
        self.inputs, self.watched, self.alerts, self.settings = inputs, watched, alerts, settings
        self.monitor: Monitor | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin, and measure the network as it is before its first step."""
        if not trainer.is_global_zero:
            return
        network = getattr(pl_module, self.watched) if self.watched else pl_module
        steps = trainer.estimated_stepping_batches
        own = {
            "total_steps": int(steps) if 0 < steps < MANY else None,
            "directory": Path(trainer.default_root_dir) / DIRECTORY,
        }
        self.monitor = started(network, self.inputs, self.alerts, {**own, **self.settings})
        self.monitor.step(trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Measure where it is due, and end the training where a rule says so."""
        if self.monitor is not None:
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            self.monitor.step(trainer.global_step, loss=loss)
            trainer.should_stop = trainer.should_stop or self.monitor.stopped

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Wait for the last measurements and write the record."""
        if self.monitor is not None:
            self.monitor.close()
