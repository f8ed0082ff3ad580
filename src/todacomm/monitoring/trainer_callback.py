"""Watch a training by the Trainer of transformers: `todacomm.TopologyCallback`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from todacomm.core.errors import MissingExtra

try:
    from transformers import TrainerCallback
except ModuleNotFoundError:
    raise MissingExtra("transformers", "models", "td.TopologyCallback") from None

from todacomm.monitoring.monitor import Monitor
from todacomm.monitoring.starting import Alerts, started

DIRECTORY = "topology"  # inside the output directory of the Trainer


class TopologyCallback(TrainerCallback):
    """Measure the topology of a model while the Trainer of transformers trains it.

    Give it to ``Trainer(callbacks=[...])``. The model reads the texts before the first step, then every hundredth of
    the training; `Monitor` says how. Among several processes the first one measures.

    Parameters
    ----------
    inputs : texts or batches, optional
        What the model reads: a list of strings or `Texts`, or mappings of ``input_ids``. The tokenizer is the
        Trainer's ``processing_class``, unless ``tokenizer`` is given.
    alerts : sequence of str or mappings, default ()
        Rules as of `Monitor.alert`, each a string, or a mapping with ``rule``, ``action`` and ``consecutive``. One with
        ``action="stop"`` ends the training.
    **settings
        Keywords of `Monitor`. ``directory`` is ``topology`` inside the Trainer's output directory by default.

    Attributes
    ----------
    monitor : Monitor or None
        That of the training, once it has begun.

    Examples
    --------
    >>> import todacomm as td
    >>> callback = td.TopologyCallback(["To be", "or not", "to be"], alerts=["collapse"], every="2%")
    >>> callback.monitor is None
    True

    """

    def __init__(self, inputs: Any = None, *, alerts: Alerts = (), **settings: Any) -> None:
        self.inputs, self.alerts, self.settings = inputs, alerts, settings
        self.monitor: Monitor | None = None
        self._loss: float | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **held: Any) -> None:  # noqa: ARG002 - what the Trainer gives
        """Begin, and measure the model as it is before its first step."""
        if not state.is_world_process_zero:
            return
        own = {
            "tokenizer": held.get("processing_class"),
            "total_steps": state.max_steps,
            "directory": Path(args.output_dir) / DIRECTORY,
        }
        self.monitor = started(held["model"], self.inputs, self.alerts, {**own, **self.settings})
        self.monitor.step(state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **held: Any) -> None:  # noqa: ARG002
        """Keep the loss that the Trainer tells, a mean since it told it before."""
        found = (logs or {}).get("loss")
        self._loss = self._loss if found is None else float(found)

    def on_step_end(self, args: Any, state: Any, control: Any, **held: Any) -> Any:  # noqa: ARG002
        """Measure where it is due, and end the training where a rule says so."""
        if self.monitor is not None:
            self.monitor.step(state.global_step, loss=self._loss)
            control.should_training_stop = control.should_training_stop or self.monitor.stopped
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **held: Any) -> None:  # noqa: ARG002
        """Wait for the last measurements and write the record."""
        if self.monitor is not None:
            self.monitor.close()
