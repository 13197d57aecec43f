"""What can go wrong between data and symbols.

ModelError
├── ConfigError      a network cannot be built as asked
├── ConditionError   a request's fields do not fit the model
├── ProgramError     a step program contradicts itself, or its network
├── BundleError      a bundle cannot be read, or is not what its digest says
├── DataError        training data does not fit the model
├── SlotsFull        a request was admitted to a sampler without a free slot
└── NativeMissing    no build of the native executor can be used here
    └── NativeStale  there is one, of another version of the package
"""


class ModelError(Exception):
    """The root of everything that `ancestral.models` raises."""


class ConfigError(ModelError):
    """A network cannot be built as asked."""


class ConditionError(ModelError):
    """A request's fields do not fit the model."""


class ProgramError(ModelError):
    """A step program contradicts itself, or the network that it is of."""


class BundleError(ModelError):
    """A bundle cannot be read, or is not what its digest says."""


class DataError(ModelError):
    """Training data does not fit the model."""


class SlotsFull(ModelError):
    """A request was admitted to a sampler without a free slot."""


class NativeMissing(ModelError):
    """No build of the native executor can be used here."""


class NativeStale(NativeMissing):
    """There is a build of the native executor, of another version of the package."""
