"""Every error and warning of the package, each a sentence that says what to do."""


class AssemblyError(Exception):
    """Base class: catch it to catch every error raised by this package on purpose."""


class ShapeError(AssemblyError, ValueError):
    """An array has another shape than the one asked for."""


class NonFiniteError(AssemblyError, ValueError):
    """An array holds NaN or infinity; the message gives the first place."""


class ArgumentError(AssemblyError, ValueError):
    """An argument has the wrong type or lies outside its range."""


class UnknownNameError(AssemblyError, ValueError):
    """A name (activation, data set, study, quantity) is not one of those known."""


class GraphError(AssemblyError, ValueError):
    """A graph is no assembly: it has a cycle, a dangling neuron or an unknown parent."""


class ConfigurationError(AssemblyError, ValueError):
    """A study file has a misspelt key or a value of the wrong type."""


class DataError(AssemblyError, ValueError):
    """A data file cannot be read as a table of finite numbers."""


class ResultsError(AssemblyError, RuntimeError):
    """A results folder is damaged, locked, or belongs to another study."""


class ResourceError(AssemblyError, RuntimeError):
    """The machine has too little memory for what is asked; the message names the bytes."""


class SaturationError(AssemblyError, ArithmeticError):
    """An output is saturated so far that the squares of its derivatives underflow."""


class DivergenceError(AssemblyError, ArithmeticError):
    """Training diverged; `history` holds what was recorded until then."""

    def __init__(self, message: str, history: object) -> None:
        super().__init__(message)
        self.history = history


class TrainingInterrupted(KeyboardInterrupt):
    """A signal, whose `number` says which, stopped training; `history` holds what was recorded until then."""

    def __init__(self, message: str, history: object, number: int) -> None:
        super().__init__(message)
        self.history, self.number = history, number


class KinkWarning(UserWarning):
    """A ReLU neuron sits exactly at its kink, where the derivatives used are one-sided conventions."""


class ConvergenceWarning(UserWarning):
    """An iterative answer was used as a plain number although it had not converged."""
