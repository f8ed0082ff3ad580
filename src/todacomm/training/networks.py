"""Networks of the training experiments: each gives logits and the hidden states to be measured.

A network is a function of (m, 2) tokens or (m, d) pixels. With tokens it has a table ``embed`` (c, d), whose rows are
the first cloud.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput
from todacomm.core.registry import Registry

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a network of the grokking laboratory.

    One type serves all networks. A transformer uses ``heads``, a perceptron uses ``hidden`` and ``activation``.

    Attributes
    ----------
    width : int, default 128
        Features of the embedding and of the residual stream; a multiple of ``heads``.
    hidden : int, default 256
        Features of the feed-forward layers.
    layers : int, default 3
        Number of blocks or hidden layers.
    heads : int, default 4
        Attention heads.
    activation : str, default "gelu"
        Of the feed-forward layers.

    Raises
    ------
    InvalidInput
        For a size below 1, a width that the heads do not divide, and an unknown activation.

    Examples
    --------
    >>> import todacomm as td
    >>> td.grokking.Shape(width=32).width
    32

    """

    width: int = 128
    hidden: int = 256
    layers: int = 3
    heads: int = 4
    activation: str = "gelu"

    def __post_init__(self) -> None:
        for name in ("width", "hidden", "layers", "heads"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"--{name} {getattr(self, name)}; expected 1 or more")
        if self.width % self.heads:
            raise InvalidInput(
                f"--width {self.width} does not divide into {self.heads} heads; expected a multiple of it"
            )
        if self.activation not in ACTIVATIONS:
            raise InvalidInput(f"activation '{self.activation}'; expected one of {', '.join(ACTIVATIONS)}")


class Network(nn.Module, ABC):
    """A network; ``states`` yields the output of each layer, then the logits."""

    embed: nn.Embedding | None
    names: tuple[str, ...]

    @abstractmethod
    def states(self, inputs: Tensor) -> Iterator[Tensor]:
        """The state after each layer, then the logits."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits (m, c)."""
        found = inputs
        for state in self.states(inputs):
            found = state
        return found


networks: Registry[Callable[[int, int, Shape], Network]] = Registry("network")  # (inputs, classes, shape) → network


@networks.register("transformer")
class Transformer(Network):
    """An encoder of two tokens: pre-LN layers, learned positions, norm and logits of the second. arXiv:2605.06352."""

    def __init__(self, inputs: int, classes: int, shape: Shape) -> None:
        super().__init__()
        self.embed = nn.Embedding(inputs, shape.width)
        self.positions = nn.Parameter(0.02 * torch.randn(2, shape.width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape.width,
                shape.heads,
                shape.hidden,
                dropout=0.0,
                activation=shape.activation,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, classes)
        self.names = tuple(f"layer_{i}" for i in range(shape.layers))

    def states(self, inputs: Tensor) -> Iterator[Tensor]:
        """The second token's state after each layer, then the logits."""
        stream = cast("nn.Embedding", self.embed)(inputs) + self.positions
        for layer in self.layers:
            stream = layer(stream)
            yield stream[:, 1]
        yield self.head(self.norm(stream[:, 1]))


class Perceptron(Network):
    """Hidden layers of one width, then logits."""

    def __init__(self, inputs: int, classes: int, shape: Shape) -> None:
        super().__init__()
        self.embed = None
        sizes = [inputs, *[shape.hidden] * shape.layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation = ACTIVATIONS[shape.activation]()
        self.head = nn.Linear(shape.hidden, classes)
        self.names = tuple(f"layer_{i}" for i in range(shape.layers))

    def states(self, inputs: Tensor) -> Iterator[Tensor]:
        """The state after each hidden layer, then the logits."""
        stream = self.first(inputs)
        for layer in self.layers[1:]:
            stream = self.activation(stream)
            yield stream
            stream = layer(stream)
        stream = self.activation(stream)
        yield stream
        yield self.head(stream)

    def first(self, inputs: Tensor) -> Tensor:
        """The output of the first layer, before its activation."""
        return cast("Tensor", self.layers[0](inputs))


@networks.register("mlp")
class TokenPerceptron(Perceptron):
    """One embedding for both tokens, the two concatenated, hidden layers, logits. arXiv:2605.06352."""

    def __init__(self, inputs: int, classes: int, shape: Shape) -> None:
        super().__init__(2 * shape.width, classes, shape)
        self.embed = nn.Embedding(inputs, shape.width)

    def first(self, inputs: Tensor) -> Tensor:
        """Apply the first layer to two concatenated rows as a sum over both: once a row, then look up."""
        table, layer = cast("nn.Embedding", self.embed).weight, cast("nn.Linear", self.layers[0])
        left, right = layer.weight.chunk(2, dim=-1)  # of the last axis, as weights of copies may be stacked
        looked_up = F.embedding(inputs[:, 0], F.linear(table, left, layer.bias))
        return looked_up + F.embedding(inputs[:, 1], F.linear(table, right))


networks.add("pixels", Perceptron)


@networks.register("nanda")
class OneLayerTransformer(Network):
    """One causal layer on the tokens a, b, =, no norms, no attention biases, read at the last. arXiv:2301.05217."""

    def __init__(self, inputs: int, classes: int, shape: Shape) -> None:
        super().__init__()
        if shape.layers != 1:
            raise InvalidInput(
                f"--layers {shape.layers}: the network 'nanda' has one layer; use 'transformer' for more"
            )
        d, scale = shape.width, shape.width**-0.5
        self.heads = shape.heads

        def normal(*size: int, by: float = scale) -> nn.Parameter:
            return nn.Parameter(by * torch.randn(*size))

        self.embed = nn.Embedding(inputs, d)
        nn.init.normal_(self.embed.weight, std=scale)
        self.equals, self.positions = normal(d), normal(3, d)
        self.queries, self.keys, self.values, self.out = normal(d, d), normal(d, d), normal(d, d), normal(d, d)
        self.up, self.down = normal(d, shape.hidden), normal(shape.hidden, d, by=shape.hidden**-0.5)
        self.up_bias, self.down_bias = nn.Parameter(torch.zeros(shape.hidden)), nn.Parameter(torch.zeros(d))
        self.activation = ACTIVATIONS[shape.activation]()
        self.head = nn.Linear(d, classes, bias=False)
        nn.init.normal_(self.head.weight, std=classes**-0.5)
        self.names = ("layer_0",)

    def states(self, inputs: Tensor) -> Iterator[Tensor]:
        """The state of the last token after the layer, then the logits."""
        m, d = len(inputs), self.equals.shape[0]
        table = cast("nn.Embedding", self.embed).weight
        stream = torch.cat(
            [table + self.positions[0], table + self.positions[1], (self.equals + self.positions[2])[None]]
        )
        last = stream[-1].expand(
            m, d
        )  # only it is read, and it sees all three; keys and values are computed once a token
        seen = torch.stack(
            [inputs[:, 0], inputs[:, 1] + len(table), torch.full_like(inputs[:, 0], 2 * len(table))], dim=1
        )
        split = (m, 3, self.heads, d // self.heads)
        keys, values = (F.embedding(seen, stream @ by).view(split) for by in (self.keys, self.values))
        query = (stream[-1] @ self.queries).view(self.heads, -1) / (d // self.heads) ** 0.5
        weights = torch.softmax((keys * query).sum(dim=-1), dim=1)
        last = last + (weights[..., None] * values).sum(dim=1).reshape(m, d) @ self.out
        last = last + self.activation(last @ self.up + self.up_bias) @ self.down + self.down_bias
        yield last
        yield self.head(last)


def build_network(name: str, *, inputs: int, classes: int, shape: Shape, seed: int) -> Network:
    """Build a network with weights drawn by ``seed``; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return networks[name](inputs, classes, shape)


def layer_names(name: str, shape: Shape) -> tuple[str, ...]:
    """The names of the hidden states of a network, in order."""
    return ("layer_0",) if name == "nanda" else tuple(f"layer_{i}" for i in range(shape.layers))


def parameters_of(name: str, *, inputs: int, classes: int, shape: Shape) -> int:
    """Count the weights of a network without making them."""
    with torch.device("meta"):
        return sum(p.numel() for p in networks[name](inputs, classes, shape).parameters())
