"""Errors a user can cause. Each class carries the exit code of the command line."""


class RrlError(Exception):
    """Says what was found, what was expected and what to do; printed without a traceback."""

    exit_code = 1


class UsageError(RrlError):
    """A command, option, configuration or run directory that cannot be used as asked."""

    exit_code = 2


class MissingDependencyError(RrlError):
    """A package, device or engine that was asked for and is not there."""

    exit_code = 3


class ResourceError(RrlError):
    """Not enough memory or disk, predicted or met."""

    exit_code = 4


class DataError(RrlError):
    """Data missing, corrupt or not belonging together."""

    exit_code = 5


class GateError(RrlError):
    """Work that finished and missed a threshold the user set."""

    exit_code = 6


class Interrupted(RrlError):
    """A signal stopped the work after its state was saved."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
