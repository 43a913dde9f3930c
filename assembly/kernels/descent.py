"""One step of gradient descent, in one pass over the parameters."""

from __future__ import annotations

from assembly.kernels import kernel


@kernel()
def descend(w, gradient, velocity, step_size, momentum, decay):
    """Move w by -step_size (gradient + decay w); with momentum, by velocity, to which that is added.

    w, gradient (n,) float; velocity (n,), or (0,) if momentum is 0; the others are scalars of the same dtype.
    """
    if momentum == 0.0:
        for i in range(w.shape[0]):
            w[i] -= step_size * (gradient[i] + decay * w[i])
    else:
        for i in range(w.shape[0]):
            velocity[i] = momentum * velocity[i] - step_size * (gradient[i] + decay * w[i])
            w[i] += velocity[i]
