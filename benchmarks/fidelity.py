"""Is what was drawn what was asked for? And is it new?

    python benchmarks/fidelity.py [--quick] [--cases NAME ...] [--temperature T] [--top-p P]
                                  [--guidance G] [--digits MODEL] [--speech MODEL] [--json FILE]

Classifiers that learned from real training data alone name the condition of generated samples: the
label of images, the word and the speaker of sounds. Beside their accuracy stands the same
classifier's on real held-out items, which is what it can do at best. Then the distance from each
sample to the nearest training item stands beside that from each held-out item: copies would be
nearer (parts/nearness.py says how far is measured).

MODEL is the name of a model, or the path or URI of a bundle. Words are those of the table fsdd,
which is looked for in the folder ANCESTRAL_DATA; without it that case is left out, unless it is
named. FILE keeps what it holds of other cases, models and settings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parts.asked import Asked, open_bundle
from parts.digit_fidelity import digit_fidelity
from parts.judgements import Fidelity, Judgement
from parts.learning import compute_on
from parts.nearness import Nearness
from parts.options import command
from parts.speech_fidelity import TABLE, speech_fidelity
from parts.written import earlier, machine, write

from ancestral.jobs.errors import JobError, SpecError
from ancestral.models import ModelError
from ancestral.orchestration.training.tables import table_uri


@dataclass(frozen=True)
class Case:
    """A model by default, and how many samples of each kind and epochs of each classifier there
    are."""

    model: str
    measure: Callable[[Asked, int, int], Fidelity]
    each: int
    quick_each: int
    epochs: int
    quick_epochs: int


#: 1,000 samples each: 10 labels, and 10 words by each of 5 speakers.
CASES = {
    "digits": Case("digits", digit_fidelity, each=100, quick_each=10, epochs=20, quick_epochs=2),
    "speech": Case(
        "spoken-digits", speech_fidelity, each=20, quick_each=1, epochs=10, quick_epochs=2
    ),
}

#: What tells one measurement from another.
SETTINGS = ("case", "model", "temperature", "top_p", "guidance", "samples")


def print_fidelity(fidelity: Fidelity) -> None:
    """Accuracies, confusions and distances; a star marks what stays below its target."""
    print(
        f"\n{fidelity.case}: {fidelity.samples:,} samples of {fidelity.model} "
        f"({fidelity.digest[:12]}), temperature {fidelity.temperature:g}, "
        f"top_p {fidelity.top_p or 1:g}, guidance {fidelity.guidance:g}, "
        f"drawn in {fidelity.drawing_seconds:.0f} s"
    )
    print(
        f"\n{'named as asked':16} {'samples':>8} {'95%':>16} {'real held-out':>14} {'95%':>16} "
        f"{'ratio':>6} {'target':>7}"
    )
    for judgement in fidelity.judgements:
        print(
            f"{judgement.condition:16} {judgement.accuracy:8.1%} "
            f"{_range(judgement.interval):>16} {judgement.held_out_accuracy:14.1%} "
            f"{_range(judgement.held_out_interval):>16} {judgement.ratio:6.3f} "
            f"{judgement.target:7.0%}{' *' if judgement.misses else ''}"
        )
    print(
        f"\n{'nearest training':16} {'samples':>16} {'real held-out':>23} {'ratio of':>8} "
        f"{'nearer than':>12} {'by':>6}\n{'item':16} {'median':>8} {'5%':>7} "
        f"{'median':>8} {'5%':>6} {'closest':>7} {'medians':>8} {'closest':>12} {'chance':>6}"
    )
    for near in fidelity.nearness:
        print(_distances(near))
    for judgement in fidelity.judgements:
        _print_confusion(judgement)


def _range(interval: tuple[float, float]) -> str:
    return "{:.1%} to {:.1%}".format(*interval)


def _distances(near: Nearness) -> str:
    return (
        f"{near.measure:16} {near.median:8.3f} {near.quantile_5:7.3f} "
        f"{near.held_out_median:8.3f} {near.held_out_quantile_5:6.3f} "
        f"{near.held_out_closest:7.3f} {near.ratio:8.2f} {near.nearer:12.1%} "
        f"{near.nearer_by_chance:6.1%}"
    )


def _print_confusion(judgement: Judgement) -> None:
    """The samples of each class, and what they were named."""
    print(f"\n{judgement.condition + ' asked for':16} named")
    width = max(5, *(len(name) + 1 for name in judgement.classes))
    print(" " * 16 + "".join(f"{name:>{width}}" for name in judgement.classes))
    for name, counts in zip(judgement.classes, judgement.confusion, strict=True):
        print(f"{name:16}" + "".join(f"{count or '.':>{width}}" for count in counts))


def with_table(named: Sequence[str] | None) -> list[str]:
    """The named cases, or all whose table is there, and a sentence names the other one. Raises
    SpecError when the table of a named one is not there."""
    cases = list(named or CASES)
    if "speech" in cases:
        try:
            table_uri(TABLE)
        except SpecError as error:
            if named:
                raise
            print(f"left out: speech ({error})", file=sys.stderr)
            cases.remove("speech")
    return cases


def settings_of(figures: Mapping[str, Any]) -> tuple[Any, ...]:
    """Figures of equal ones take each other's place."""
    return tuple(figures[key] for key in SETTINGS)


def measured_before(file: Path | None) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """The cases that a file holds, by their settings. Raises SpecError when it holds others."""
    try:
        return {settings_of(case): case for case in earlier(file, "cases") or ()}
    except (KeyError, TypeError) as error:
        raise SpecError(f"{file} holds other figures: name another file") from error


def main() -> None:
    parser = command(__doc__, quick="few samples, hasty classifiers")
    parser.add_argument("--cases", metavar="NAME", nargs="+", choices=CASES)
    for name, case in CASES.items():
        parser.add_argument(f"--{name}", metavar="MODEL", default=case.model)
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T")
    parser.add_argument("--top-p", type=float, metavar="P")
    parser.add_argument(
        "--guidance", type=float, default=0.0, metavar="G", help="of models that can be guided"
    )
    arguments = parser.parse_args()
    compute_on(threads=1)
    try:
        kept = measured_before(arguments.json)
        for name in with_table(arguments.cases):
            case = CASES[name]
            asked = open_bundle(
                getattr(arguments, name),
                arguments.temperature,
                arguments.top_p,
                arguments.guidance,
            )
            each, epochs = case.each, case.epochs
            if arguments.quick:
                each, epochs = case.quick_each, case.quick_epochs
            fidelity = case.measure(asked, each, epochs)
            print_fidelity(fidelity)
            figures = {**machine(), **asdict(fidelity)}
            kept[settings_of(figures)] = figures
            write(arguments.json, {"cases": list(kept.values())})
    except (JobError, ModelError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
