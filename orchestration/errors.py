"""What can go wrong with many processes.

    OrchestrationError
    ├── ServiceUnavailable    a service does not answer or cannot be started (exit code 3)
    ├── TrainingFailed        a training run ended without a bundle
    ├── FleetFailed           the samplers cannot go on with the job
    ├── FleetUnfit            no sampler draws as the job asks (exit code 2)
    ├── JobFailed             the job cannot go on before somebody mends something
    └── Stopped               a command ended because it was asked to (exit code 130)

Each class says what a command that ends with it exits with.
"""

from typing import ClassVar

#: What commands exit with; the help of `ancestral` says when.
DONE, BROKEN, WRONG_USE, UNAVAILABLE, STOPPED = 0, 1, 2, 3, 130


class OrchestrationError(Exception):
    """The root of everything that `ancestral.orchestration` raises."""

    exit_code: ClassVar[int] = BROKEN


class ServiceUnavailable(OrchestrationError):
    """A service does not answer or cannot be started; the message says what to do."""

    exit_code = UNAVAILABLE


class TrainingFailed(OrchestrationError):
    """A training run ended without a bundle."""


class FleetFailed(OrchestrationError):
    """The samplers cannot go on with the job."""


class FleetUnfit(OrchestrationError):
    """No sampler draws as the job asks; the message says why."""

    exit_code = WRONG_USE


class JobFailed(OrchestrationError):
    """The job cannot go on before somebody mends something; the message says what."""


class Stopped(OrchestrationError):
    """A command ended because it was asked to; the message says what is kept and how to go on."""

    exit_code = STOPPED
