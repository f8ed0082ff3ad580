"""Small networks that change by being looked at, unless one takes care."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Delicate(nn.Module):
    """Dropout, batch normalisation, a part that the user keeps in evaluation, buffers that every pass changes."""

    def __init__(self, *, saving=False):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.norm, self.frozen, self.drop = nn.BatchNorm1d(16), nn.BatchNorm1d(16), nn.Dropout(0.3)
        self.saving = saving
        self.register_buffer("passes", torch.zeros(1))
        self.frozen.eval()

    def forward(self, x):
        self.passes += 1  # in place
        self.last_seen = None
        self._buffers["noise"] = torch.rand(1)  # replaced, and drawn in evaluation as well
        hidden = self.drop(self.norm(self.first(x)).relu())
        middle = checkpoint(self.second, hidden, use_reentrant=True) if self.saving else self.second(hidden)
        return self.head(self.frozen(middle).relu())


def batch():
    return torch.randn(12, 6, generator=torch.Generator().manual_seed(3))
