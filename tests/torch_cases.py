"""Torch modules for the tests of `am.from_torch`: by hand, and drawn at random."""

from __future__ import annotations

import itertools
import math
import operator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'assembly-perspective[torch]'")
nn, functional = torch.nn, torch.nn.functional


class Lambda(nn.Module):
    """Parts by name, and a function of them and of the input."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def weight(*shape):
    return nn.Parameter(torch.randn(shape))


def mlp(*sizes, activation=nn.Tanh):
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


def cnn_1d():
    return nn.Sequential(
        nn.Conv1d(2, 3, 3, stride=2, padding=1),
        nn.BatchNorm1d(3),
        nn.SiLU(),
        nn.AvgPool1d(2, padding=1),
        nn.Conv1d(3, 2, 2, padding="same"),  # an even kernel: one less on the left
        nn.GELU(),
        nn.AdaptiveAvgPool1d(2),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def cnn_2d():
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(1, 0)),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        nn.AvgPool2d((2, 3), stride=1, padding=(1, 0), count_include_pad=False),
        nn.Dropout2d(0.5),
        nn.Conv2d(3, 2, 3, padding="same", bias=False),
        nn.Sigmoid(),
        nn.AdaptiveAvgPool2d((2, 1)),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4, 1),
    )


class Block(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.down = nn.Identity()
        if stride > 1 or n_in != n_out:
            self.down = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        out = functional.softplus(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.down(x)
        return torch.tanh(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.blocks = nn.Sequential(Block(2, 2, 1), Block(2, 3, 2))
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.blocks(self.stem(x).relu_()), 1)
        return self.head(torch.flatten(x, 1))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1)])
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 1)

    def forward(self, x):
        for conv in self.convs:
            x = torch.cat([x, functional.gelu(conv(x))], dim=1)
        x = functional.avg_pool2d(self.norm(x), 3)
        return self.head(x.view(x.size(0), -1)).squeeze(1)


class TiedAutoencoder(nn.Module):
    """The decoder is the transposed encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(5, 3)
        self.offset = nn.Parameter(torch.randn(5))

    def forward(self, x):
        h = torch.tanh(self.encoder(x))
        return functional.linear(h, self.encoder.weight.t(), self.offset)


class Recurrent(nn.Module):
    """One layer used three times, and its weight once more in another."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)
        self.other.weight = self.inner.weight
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        for _ in range(3):
            x = torch.sin(self.inner(x))
        return self.head(x.cos() + self.other(x).sigmoid())


class Functional(nn.Module):
    """Everything by functions, methods and operators, with parameters used as they are and as views."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(0.4 * torch.randn(6, 4))
        self.kernel = nn.Parameter(0.4 * torch.randn(2, 1, 3))
        self.bias = nn.Parameter(0.4 * torch.randn(6))
        self.gain = nn.Parameter(torch.randn(1, 6))
        self.register_buffer("mean", torch.randn(4))
        self.spread = torch.tensor([1.0, 2.0, 0.5, 1.5])
        self.register_buffer("mask", torch.tensor([True, False, True, True]))

    def forward(self, x):
        x = (x - self.mean) / self.spread * self.mask
        h = x @ self.weight.T + self.bias
        h = functional.silu(h) - 0.5 * torch.erf(h) * self.gain
        image = functional.conv1d(h.reshape(-1, 1, 6), self.kernel, padding=1, stride=2)
        image = functional.avg_pool1d(image.exp(), 2, 1)
        flat = torch.reshape(image, (x.shape[0], x.size(1)))
        out = torch.add(functional.linear(flat, self.weight[2:4]), flat.matmul(self.weight[:2].t()), alpha=2)
        return functional.softmax(1 - torch.neg(out**2) / 3, dim=-1)


def sequence_of_places():
    """Linear layers along the last axis: their weights are shared by all places."""
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(8, 1))


def partly_frozen():
    module = mlp(3, 4, 4, 2)
    module[0].bias.requires_grad_(False)
    module[2].weight.requires_grad_(False)
    return module


def frozen_convolution():
    module = nn.Sequential(nn.Conv2d(1, 2, 2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(18, 1))
    module[0].weight.requires_grad_(False)
    return module


def twice_the_same_convolution():
    conv = nn.Conv2d(2, 2, 3, padding="same")
    return nn.Sequential(conv, nn.Tanh(), conv, nn.Flatten(), nn.Linear(8, 1))  # on 2 x 2: corners of no use


def norm_that_cannot_be_merged():
    """Batch norm of what two layers read, and of an activation; one channel is switched off."""
    norms = nn.ModuleList([nn.BatchNorm1d(4), nn.BatchNorm1d(4, affine=False)])

    def forward(self, x):
        h = self.norms[0](self.first(x))
        return self.last(self.norms[1](torch.tanh(h)) + h.sigmoid())

    return Lambda(forward, first=nn.Linear(3, 4), norms=norms, last=nn.Linear(4, 1))


def in_place():
    """What is changed in place is changed for whoever reads it later, in every view."""

    def forward(self, x):
        h = self.first(x)
        before = 0.5 - h
        view = h.view(-1, 2, 2)
        h.mul_(3).sin_()
        before -= view.flatten(1)
        h += 1
        return self.last(self.second(operator.imul(before, 2)) + torch.tanh(h))

    return Lambda(forward, first=nn.Linear(3, 4), second=nn.Linear(4, 4), last=nn.Linear(4, 1))


def same_value_twice():
    def forward(self, x):
        h = self.first(x)
        return self.last(torch.cat([h + h, h, x], -1))

    return Lambda(forward, first=nn.Linear(3, 4), last=nn.Linear(11, 1))


def broadcast():
    """Sums of a map and an image of one channel, and of a bias for each channel."""

    def forward(self, x):
        return self.head(torch.tanh(self.conv(x) + x + self.bias).flatten(1))

    parts = {"conv": nn.Conv2d(1, 3, 2, padding="same"), "head": nn.Linear(12, 1)}
    return Lambda(forward, **parts, bias=nn.Parameter(torch.randn(3, 1, 1)))


# name: (builder, shape of the input, None where it is known)
CASES = {
    "mlp": (lambda: mlp(3, 5, 4, 2), None),
    "relu": (lambda: mlp(4, 6, 5, 1, activation=nn.ReLU), None),
    "softmax head": (lambda: nn.Sequential(nn.Flatten(), mlp(4, 5, 3), nn.Softmax(dim=1)), None),
    "one linear layer": (lambda: nn.Linear(3, 2), None),
    "one activation": (lambda: nn.Tanh(), (3,)),
    "no operation": (lambda: nn.Identity(), (2, 2)),
    "cnn 1d": (cnn_1d, (2, 9)),
    "cnn 2d": (cnn_2d, (2, 6, 8)),
    "resnet": (ResNet, (1, 5, 4)),
    "densenet": (DenseNet, (1, 3, 4)),
    "tied autoencoder": (TiedAutoencoder, None),
    "recurrent": (Recurrent, None),
    "functional": (Functional, (4,)),
    "places": (sequence_of_places, (4, 3)),
    "partly frozen": (partly_frozen, None),
    "frozen convolution": (frozen_convolution, (1, 2, 2)),
    "one convolution twice": (twice_the_same_convolution, (2, 2, 2)),
    "batch norm alone": (norm_that_cannot_be_merged, None),
    "in place": (in_place, None),
    "matrix product": (lambda: Lambda(lambda s, x: torch.tanh(x @ s.w) @ s.v, w=weight(3, 4), v=weight(4)), (3,)),
    "scalar": (lambda: Lambda(lambda s, x: s.gain * s.layer(x), layer=nn.Linear(3, 2), gain=weight()), (3,)),
    "same value twice": (same_value_twice, (3,)),
    "broadcast": (broadcast, (1, 2, 2)),
}


def build(name: str):
    """Return a case in float64, with statistics and norms that are not those of the start, and its input shape."""
    torch.manual_seed(sum(map(ord, name)))
    builder, shape = CASES[name]
    return disturbed(builder()), shape


def disturbed(module):
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
                with torch.no_grad():
                    part.weight[0] = 0.0
    return module.double()


# Drawn at random

ACTIVATIONS = (nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.SiLU, nn.Identity)
FUNCTIONS = (torch.sin, torch.cos, torch.erf)


class RandomModule(nn.Module):
    """A random sequence of operations on values computed so far, all of one shape, and a linear head."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.shape = [(3,), (2, 4), (2, 3, 2)][seed % 3]
        self.parts, self.activations = nn.ModuleList(), nn.ModuleList(kind() for kind in ACTIVATIONS)
        self.program = []
        for _ in range(int(rng.integers(3, 8))):
            kind = str(
                rng.choice(["layer", "layer", "activation", "activation", "norm", "sum", "cat", "scale", "tied"])
            )
            first, second = rng.integers(len(self.program) + 1, size=2).tolist()
            number = float(rng.normal())
            if kind == "tied":
                layers = [done[3] for done in self.program if done[0] == "layer"]
                kind, part = "layer", int(rng.choice(layers)) if layers else self.add(self.layer(rng))
            elif kind == "layer":
                part = self.add(self.layer(rng))
            elif kind == "norm":
                part = self.add([nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d][seed % 3](self.shape[0]))
            elif kind == "cat":
                part = self.add(self.mixer())
            else:
                part = int(rng.integers(len(ACTIVATIONS) + len(FUNCTIONS)))
            self.program.append((kind, first, second, part, number))
        self.head = nn.Linear(math.prod(self.shape), int(rng.integers(1, 3)))
        self.is_softmax = self.head.out_features > 1 and seed % 2 == 0
        for parameter in self.parameters():
            parameter.requires_grad_(rng.random() < 0.85)

    def add(self, part):
        self.parts.append(part)
        return len(self.parts) - 1

    def layer(self, rng):
        channels, bias = self.shape[0], bool(rng.integers(2))
        if len(self.shape) == 1:
            return nn.Linear(channels, channels, bias=bias)
        kind = [nn.Conv1d, nn.Conv2d][len(self.shape) - 2]
        return kind(channels, channels, int(rng.integers(1, 4)), padding="same", bias=bias)

    def mixer(self):
        channels = self.shape[0]
        kinds = [nn.Linear, lambda a, b: nn.Conv1d(a, b, 1), lambda a, b: nn.Conv2d(a, b, 1)]
        return kinds[len(self.shape) - 1](2 * channels, channels)

    def forward(self, x):
        values = [x]
        for kind, first, second, part, number in self.program:
            a, b = values[first], values[second]
            if kind in ("layer", "norm"):
                values.append(self.parts[part](a))
            elif kind == "cat":
                values.append(self.parts[part](torch.cat([a, b], dim=1)))
            elif kind == "activation":
                values.append((*self.activations, *FUNCTIONS)[part](a))
            elif kind == "sum":
                values.append(a - number * b)
            else:
                values.append(a / number if number > 0.5 else number * a)
        out = self.head(torch.tanh(values[-1] + 0.5 * values[-2]).flatten(1))
        return torch.softmax(out, 1) if self.is_softmax else out
