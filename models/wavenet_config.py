"""What a WaveNet is made of, and presets."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.models.errors import ConfigError
from ancestral.models.speech.frames import LOWEST_SAMPLE_RATE_HZ
from ancestral.models.speech.spelling import in_one_case


@dataclass(frozen=True)
class WaveNetConfig:
    """A net for sounds that says texts or digits, speaks in voices, both, or neither.

    With `digits` a request's length is that of the digit in `seconds`, with `characters` that which
    the front end foretells of its text; without either, the request says it.
    """

    sample_rate_hz: int = 8000
    #: How levels become amplitudes: mu-law (up to 256 levels), or linear.
    encoding: str = "mu-law"
    levels: int = 256
    #: Logistic functions of the mixture that a sample is drawn from; 0: it is drawn from a softmax.
    components: int = 0
    #: The longest sound that can be asked for, in samples.
    max_length: int = 20000
    #: What a request can ask to be said: local conditioning. Empty: there is no such field.
    digits: tuple[int, ...] = ()
    #: What a text can be spelled with, silence (" ") first: local conditioning by a front end.
    #: Empty: there is no such field.
    characters: str = ""
    #: Channels of the front end's nets, and the steps in which each of them learns.
    front_end: int = 64
    front_end_steps: int = 1500
    #: Whose voice it can ask for: global conditioning. Empty: there is no such field.
    speakers: tuple[str, ...] = ()
    #: Seconds that a speaker takes for a digit: a row for each speaker (one row without speakers),
    #: a column for each digit.
    seconds: tuple[tuple[float, ...], ...] = ()
    #: Samples per column of the aligned features.
    hop: int = 80
    #: Steps in which the aligned features of a digit say how far it has come.
    hats: int = 16
    #: Channels of the encoder of aligned features.
    encoder: int = 64
    #: Channels of the residual path, and of each half of a gate.
    residual: int = 32
    #: Channels of the sum over all layers that the head reads, and of the head itself.
    skip: int = 64
    kernel: int = 2
    #: Layers of a stack, whose dilations are kernel^0, kernel^1, ...
    depth: int = 9
    stacks: int = 2
    #: Symbols before t that the input reads.
    input_reach: int = 2

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network, or the durations do not fit."""
        at_least_one = ("sample_rate_hz", "max_length", "hop", "encoder", "residual", "skip")
        front_end = ("front_end", "front_end_steps")
        for name in (*at_least_one, *front_end, "depth", "stacks", "input_reach"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.kernel < 2 or self.hats < 2:
            raise ConfigError("kernel and hats must be at least 2")
        if self.components < 0:
            raise ConfigError(f"components must not be negative, but is {self.components}")
        if self.encoding not in ("mu-law", "linear"):
            raise ConfigError(f"encoding is mu-law or linear, not {self.encoding!r}")
        # A softmax has an output for each level; mu-law is for a few levels that sound like many.
        most = 65536 if self.components and self.encoding == "linear" else 256
        if not 2 <= self.levels <= most or self.levels % 2:
            raise ConfigError(f"levels must be even and 2 to {most}, not {self.levels}")
        if self.digits and self.characters:
            raise ConfigError("a voice says texts or digits: give characters or digits")
        if self.characters:
            self._check_characters()
        for name in ("digits", "characters", "speakers"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ConfigError(f"{name} lists one of them twice")
        rows = max(1, len(self.speakers)) if self.digits else 0
        if len(self.seconds) != rows or any(len(r) != len(self.digits) for r in self.seconds):
            raise ConfigError(
                f"seconds needs {rows} rows (speakers) of {len(self.digits)} (digits)"
            )
        if (self.digits or self.characters) and not self.columns:
            raise ConfigError(
                f"hop must be at most max_length, which is {self.max_length}, not {self.hop}"
            )
        # What is said takes whole columns.
        longest = self.columns * self.hop / self.sample_rate_hz
        if any(not 0 < seconds <= longest for row in self.seconds for seconds in row):
            raise ConfigError(f"seconds must lie above 0 and not beyond {longest:g}")
        # Each layer looks at least twice as far back as the one below: so many are surely too many,
        # and powers of such sizes take long.
        too_deep = self.depth > self.max_length.bit_length()
        if too_deep or (self.kernel - 1) * self.kernel ** (self.depth - 1) > self.max_length:
            raise ConfigError(
                "the highest layer looks further back than the longest sound, which has "
                f"{self.max_length} samples: lower kernel or depth"
            )

    def _check_characters(self) -> None:
        if self.characters[0] != " ":
            raise ConfigError("the first of characters is silence, ' '")
        if self.characters.isspace():
            raise ConfigError("characters has silence alone, and no letter to be said")
        never = [each for each in self.characters if in_one_case(each) != each]
        if never:
            raise ConfigError(f"characters has some that no text has in lower case: {never}")
        if self.sample_rate_hz < LOWEST_SAMPLE_RATE_HZ:
            raise ConfigError(
                f"a voice that says texts needs a sample_rate_hz of {LOWEST_SAMPLE_RATE_HZ}, not "
                f"{self.sample_rate_hz}"
            )

    @property
    def longest_seconds(self) -> float:
        """How long a sound can be."""
        return self.max_length / self.sample_rate_hz

    @property
    def columns(self) -> int:
        """Whole columns of aligned features that the longest sound has."""
        return self.max_length // self.hop

    @property
    def dilations(self) -> tuple[int, ...]:
        """How far apart each layer reads, from the lowest layer up."""
        return tuple(self.kernel**power for power in range(self.depth)) * self.stacks

    @property
    def receptive_field(self) -> int:
        """How many samples before it a sample depends on."""
        return self.input_reach + (self.kernel - 1) * sum(self.dilations)


def sixteen_bits() -> WaveNetConfig:
    """Sounds in all 65,536 levels of 16 bits, drawn from a mixture of ten logistic functions."""
    return WaveNetConfig(encoding="linear", levels=65536, components=10)


def spoken_digits(
    speakers: tuple[str, ...], seconds: tuple[tuple[float, ...], ...]
) -> WaveNetConfig:
    """Ten spoken digits at 8 kHz, small enough to learn in minutes on two cores."""
    return WaveNetConfig(
        digits=tuple(range(10)),
        speakers=speakers,
        seconds=seconds,
        kernel=4,
        depth=4,
        residual=40,
        input_reach=4,
    )
