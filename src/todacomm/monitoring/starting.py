"""Start a monitor for a trainer, with its rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from todacomm.monitoring.monitor import Monitor

Alerts = Sequence[str | Mapping[str, Any]]


def started(model: nn.Module, inputs: Any, alerts: Alerts, settings: Mapping[str, Any]) -> Monitor:
    """A monitor of a model, with rules that are strings or keywords of `Monitor.alert`."""
    monitor = Monitor(model, inputs, **settings)
    for alert in alerts:
        monitor.alert(**({"rule": alert} if isinstance(alert, str) else alert))
    return monitor
