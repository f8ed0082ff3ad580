"""Watch a training from inside its loop: `todacomm.Monitor`."""

import atexit
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from torch import Tensor, cuda, nn

from todacomm.core.errors import FOREIGN, TodacommError, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Number, Texts
from todacomm.core.versions import versions
from todacomm.models.pooling import poolings
from todacomm.monitoring.alerts import Fired, Watch, rule_of
from todacomm.monitoring.measuring import Answer, Measuring
from todacomm.monitoring.numbers import names_recorded
from todacomm.monitoring.recording import Recorder, TopologyAlert, outside
from todacomm.monitoring.scalars import SHOWN, scalars_of
from todacomm.monitoring.schedule import Schedule, steps_between
from todacomm.monitoring.sources import Reading, source_of
from todacomm.records.monitoring import MonitoredStep, Monitoring

CLOSING = 300.0  # seconds that the end of a training waits for its last measurements
NOTHING = "no layer could be measured"


@dataclass(frozen=True, slots=True)
class Probed:
    """What is known of a step before its clouds are measured."""

    numbers: Mapping[str, Number]
    seconds: float
    complaints: tuple[str, ...] = ()


class Monitor:
    """Measure the topology of a network while it trains, from inside any PyTorch loop.

    Call `step` after each optimiser step. At every so many of them the network reads fixed texts or batches, its layers
    are pooled in their hooks, and another process measures them; the training does not wait. Modes, gradients, buffers
    and random states are as they were: the losses are the same, bit for bit, with and without a monitor.

    Parameters
    ----------
    model : torch.nn.Module
        The network that trains, compiled, wrapped or not. Not one that is spread over processes (FSDP, ZeRO-3).
    inputs : texts or batches, optional
        What it reads at each measurement: a list of strings or `Texts` with ``tokenizer``, mappings of ``input_ids``,
        or batches of any network. One point a text or row.
    tokenizer : tokenizer or str, optional
        Of the texts.
    layers : str or sequence of str, default "all"
        ``"embedding"``, ``"layer_i"`` and ``"final"`` of a language model; names of modules of any other network.
    clouds : mapping of str to callable, optional
        Further clouds by name, functions that return (n, d) arrays: ``{"embedding": lambda: model.embed.weight}``.
    every : int or str, default "1%"
        Steps between measurements, or a percentage of ``total_steps``.
    total_steps : int, optional
        Of the whole training.
    budget : float, default 0.05
        Share of the training time that measuring may take. Measurements beyond it are skipped, and the record says so.
    directory : str or Path, default "monitor"
        Where ``monitor.json`` and ``measurements.jsonl`` go. A training that goes on appends to them.
    pooling : str, default "mean"
        How tokens become one point.
    max_length : int, default 128
        Tokens after which a text is cut.
    points : int, default 200
        Tokens that are drawn for ``pooling="tokens"``.
    recipe : Recipe, optional
        How clouds are measured.
    tensorboard : SummaryWriter or str, optional
        A writer, or the directory of a new one.
    log : object, optional
        Gets ``log(numbers, step=...)``: a run of Weights & Biases or of trackio.
    scalars : sequence of str, optional
        The numbers that ``tensorboard`` and ``log`` get.
    name : str, optional
        How figures call the training; by default the class of the network.

    Attributes
    ----------
    stopped : bool
        Whether a rule with ``action="stop"`` has fired; the loop is to end.
    fired : list of Fired
        Every firing of a rule: ``rule``, ``step``, ``layer``, ``values``.

    Raises
    ------
    InvalidInput
        Before the training, for what cannot be watched, and for a directory with the record of other clouds.
    UnknownName
        For a layer, a pooling or a number that there is not.
    CannotWrite
        For a directory that cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> import todacomm as td
    >>> network = torch.nn.Embedding(12, 4)
    >>> place = tempfile.TemporaryDirectory()
    >>> clouds = {"embedding": lambda: network.weight}
    >>> with td.Monitor(network, clouds=clouds, every=10, directory=place.name) as monitor:
    ...     for i in range(20):
    ...         monitor.step(i, loss=1.0)
    >>> td.load(place.name).layers
    ('embedding',)
    >>> place.cleanup()

    """

    def __init__(  # noqa: PLR0913 - the keywords that a user gives
        self,
        model: nn.Module,
        inputs: Any = None,
        *,
        tokenizer: Any = None,
        layers: str | Sequence[str] = "all",
        clouds: Mapping[str, Callable[[], Any]] | None = None,
        every: int | str = "1%",
        total_steps: int | None = None,
        budget: float = 0.05,
        directory: str | Path = "monitor",
        pooling: str = "mean",
        max_length: int = 128,
        points: int = 200,
        recipe: Recipe | None = None,
        tensorboard: Any = None,
        log: Any = None,
        scalars: Sequence[str] = SHOWN,
        name: str = "",
    ) -> None:
        how = Reading(layers, poolings[pooling].name, max_length, points)
        self._schedule = Schedule(steps_between(every, total_steps), budget, total_steps)
        self._source = source_of(model, inputs, how, tokenizer=tokenizer, clouds=clouds)
        asked = recipe or Recipe(pooling=pooling, max_length=max_length)
        self._names = names_recorded(asked)
        self._scalars = scalars_of(tensorboard, log, checked_names(scalars, self._names))
        self._on_cuda = any(p.is_cuda for p in model.parameters())
        about = Monitoring(
            name=name or type(model).__name__,
            layers=self._source.layers,
            inputs=inputs.name if isinstance(inputs, Texts) else "" if inputs is None else "inputs",
            inputs_sha256=self._source.sha256,
            pooling=pooling,
            recipe=asked,
            every=self._schedule.every,
            budget=budget,
            versions=versions(),
        )
        self._recorder = Recorder(Path(directory), about)
        self.stopped, self.fired = False, list[Fired]()
        self._watches: list[Watch] = []
        self._probed: dict[int, Probed] = {}
        self._measuring: Measuring | None = Measuring(asked)
        atexit.register(self.close)

    @property
    def directory(self) -> Path:
        """Where the record is."""
        return self._recorder.directory

    def alert(self, rule: str, *, action: str = "flag", consecutive: int | None = None) -> Self:
        """Flag or stop the training where a rule holds; give it before the first step.

        Parameters
        ----------
        rule : str
            ``"embedding:H1_max_lifetime>0.3"``: layer, number, bound. ``"layer_5:distinct_points<0.5"`` is a share of
            the points, ``"*:relative_scale:ratio<0.5"`` is of any layer and over the median of its first five values
            (also ``diff``, ``abs`` and ``rel``), ``"loss>10"`` is of the whole model, ``"A and B"`` of one layer.
            ``"loop"`` and ``"collapse"`` are rules by name, with a layer or without: docs/monitoring.md says what they
            find and what they miss.
        action : {"flag", "stop"}, default "flag"
            Record and warn, or set `stopped` as well.
        consecutive : int, optional
            Measurements in a row that must satisfy the rule; 1, and what belongs to a rule by name.

        Returns
        -------
        Monitor
            Itself.

        Raises
        ------
        InvalidInput, UnknownName
            For a rule that says nothing, and for a layer or a number that is not measured.

        Examples
        --------
        >>> import tempfile
        >>> import torch
        >>> import todacomm as td
        >>> place = tempfile.TemporaryDirectory()
        >>> clouds = {"embedding": lambda: torch.ones(4, 2)}
        >>> monitor = td.Monitor(torch.nn.Embedding(4, 2), clouds=clouds, every=10, directory=place.name)
        >>> _ = monitor.alert("loop").alert("embedding:distinct_points<0.5", action="stop")
        >>> monitor.close()
        >>> place.cleanup()

        """
        found = rule_of(rule, action, consecutive, self._source.layers, self._names)
        self._watches.append(Watch(found))
        about = self._recorder.about
        self._recorder.about = replace(about, alerts=(*about.alerts, str(found)))
        return self

    def step(self, i: int, *, loss: Any = None, **numbers: Any) -> None:
        """Say that step ``i`` is done, with its loss and other numbers; measure where it is due.

        Parameters
        ----------
        i : int
            The optimiser step. Calls with the same step, as of accumulated gradients, count once.
        loss : float or tensor, optional
            Recorded beside the numbers of the layers where this step is measured.
        **numbers : float or tensor
            What else is to stand beside them.

        """
        if self._measuring is None:
            return
        begun = time.perf_counter()
        self._take(self._measuring.answers())
        if self._schedule.last is None:
            self._recorder.begin(i)
        waited = self._probe(i, loss, numbers) if self._schedule.due(i, begun) else 0.0
        self._schedule.spent += time.perf_counter() - begun - waited

    def _probe(self, i: int, loss: Any, numbers: Mapping[str, Any]) -> float:
        """Read the network and hand its clouds over; return the seconds that the training itself still took."""
        begun = time.perf_counter()
        if self._on_cuda:
            cuda.synchronize()
        read = time.perf_counter()
        given = {name: plain_number(value) for name, value in {"loss": loss, **numbers}.items() if value is not None}
        told = self._schedule.told(read)
        clouds, missing = self._read()
        seconds = time.perf_counter() - read
        self._probed[i] = Probed(given, round(seconds, 5), (told,) if told else ())
        if self._measuring is not None and not missing:
            missing = self._measuring.offer(i, clouds)
        if missing:
            self._take([Answer(i, missing=missing)])
        self._schedule.typical = time.perf_counter() - read
        return read - begun

    def _read(self) -> tuple[Mapping[str, np.ndarray], str]:
        """The clouds, or why there are none: whatever a network raises on them is no end of its training."""
        try:
            return self._source.read(), ""
        except (TodacommError, *FOREIGN) as problem:
            return {}, f"the network could not be read ({type(problem).__name__}: {problem})"

    def _take(self, answers: Iterable[Answer]) -> None:
        """Record what was measured, look at the rules, and hand the numbers on."""
        for answer in answers:
            probed = self._probed.pop(answer.step, Probed({}, 0.0))
            fired = [one for watch in self._watches for one in watch.look(answer.step, answer.layers, probed.numbers)]
            sent = self._sent(answer)
            missing = answer.missing or ("" if answer.layers else NOTHING)
            self._recorder.add(
                MonitoredStep(
                    step=answer.step,
                    layers=answer.layers,
                    numbers=probed.numbers,
                    probe_seconds=probed.seconds,
                    measure_seconds=answer.seconds,
                    complaints=(*probed.complaints, *answer.complaints, *sent),
                    alerts=tuple(map(str, fired)),
                    missing=missing,
                )
            )
            self._tell(answer, missing, fired)

    def _sent(self, answer: Answer) -> tuple[str, ...]:
        """Hand the numbers to TensorBoard and the like; return what went wrong."""
        try:
            self._scalars.send(answer.step, answer.layers)
        except FOREIGN as problem:
            why = f"its numbers could not be sent ({type(problem).__name__}: {problem})"
            self._recorder.warn("send", f"step {answer.step:,}: {why}; the training goes on")
            return (why,)
        return ()

    def _tell(self, answer: Answer, missing: str, fired: Sequence[Fired]) -> None:
        """Warn of what is missing once for each kind, and of a rule where it fires first."""
        where = f"{self.directory}, step {answer.step:,}"
        if missing:
            self._recorder.warn(missing.partition("(")[0], f"{where} is not measured: {missing}; the training goes on")
        elif answer.complaints:
            self._recorder.warn("complaint", f"{where}: {'; '.join(answer.complaints)}; the training goes on")
        known = {(one.rule, one.layer) for one in self.fired}
        self.fired += fired
        self.stopped = self.stopped or any(one.rule.action == "stop" for one in fired)
        for one in fired:
            if (one.rule, one.layer) not in known:
                ends = "; the training is to stop" if one.rule.action == "stop" else ""
                warnings.warn(f"step {one.step:,}: {one}{ends}", TopologyAlert, stacklevel=outside())

    def close(self, timeout: float = CLOSING) -> None:
        """Wait for the last measurements, at most ``timeout`` seconds, and write what is left; again does nothing."""
        if self._measuring is None:
            return
        measuring, self._measuring = self._measuring, None
        atexit.unregister(self.close)
        share = self._schedule.share(time.perf_counter())
        self._take(measuring.close(timeout))
        self._recorder.close({"seconds": round(self._schedule.spent, 3), "share_of_time": round(share, 5)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def checked_names(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names of numbers that are handed on, of those that are measured. Raises UnknownName."""
    for name in names:
        if name not in (*known, *SHOWN):
            raise UnknownName("number that is measured", name, known)
    return tuple(name for name in names if name in known)


def plain_number(value: Any) -> Number:
    """A loss as a number, whatever it came as."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)
