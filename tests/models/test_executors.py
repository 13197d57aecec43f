"""Which executor runs a program: the native one where it can, else the reference; or an error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ancestral.models.bundle import save_bundle
from ancestral.models.errors import ConfigError, NativeMissing
from ancestral.models.naive import sample_naive
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig
from ancestral.models.sampling import executors
from ancestral.models.sampling.distributions import (
    Categorical,
    Distribution,
    Gaussian,
    LogisticMixture,
)
from ancestral.models.sampling.executor import Executor
from ancestral.models.sampling.executors import ExecutorName, executor_for
from ancestral.models.sampling.graph.executor import GraphExecutor
from ancestral.models.sampling.graph.recorder import ReplayRecorder
from ancestral.models.sampling.native import available, library
from ancestral.models.sampling.native.executor import FEW_SLOTS, NativeExecutor
from ancestral.models.sampling.native.library import Library
from ancestral.models.sampling.ops import ColourMixture, Condition, Draw, Op, Register
from ancestral.models.sampling.program import StepProgram
from ancestral.models.sampling.reference import ReferenceExecutor, ReferenceTile
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from tests.models.laws import needs_native
from tests.models.nets import Case, all_cases, image_case, vector_case

CASES = all_cases()


class Own(Categorical):
    """The law of symbols of somebody's own."""


class OwnPixelCNN(PixelCNN):
    """A network of such symbols."""

    @property
    def distribution(self) -> Own:
        return Own(self.config.levels)


def _executor(
    name: ExecutorName | Library = "auto",
    program: StepProgram | None = None,
    *,
    slots: int = 4,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    threads: int = 1,
) -> Executor:
    return executor_for(
        name,
        program or image_case().net.program(),
        slots=slots,
        device=torch.device(device),
        dtype=dtype,
        threads=threads,
    )


@pytest.fixture
def nothing_built(tmp_path: Path) -> Iterator[None]:
    before = library.look_in(tmp_path)
    yield
    library.look_in(before)


@needs_native
@pytest.mark.parametrize("case", CASES.values(), ids=[name.replace(" ", "-") for name in CASES])
def test_the_native_executor_runs_every_family(case: Case) -> None:
    with torch.no_grad():
        assert isinstance(_executor("auto", case.net.program()), NativeExecutor)


@needs_native
def test_it_is_taken_by_name_and_by_build() -> None:
    assert isinstance(_executor("native"), NativeExecutor)
    for name in available():
        assert isinstance(_executor(library.load(name)), NativeExecutor)


@needs_native
def test_threads_are_its_own() -> None:
    assert isinstance(_executor("auto", threads=2), NativeExecutor)


@pytest.mark.parametrize(
    "asked", [{"dtype": torch.float64}, {"dtype": torch.float16}, {"device": "meta"}]
)
def test_other_dtypes_and_devices_are_left_to_the_reference(asked: dict[str, Any]) -> None:
    assert isinstance(_executor("auto", **asked), ReferenceExecutor)
    with pytest.raises(ConfigError, match="the native executor"):
        _executor("native", **asked)


def test_a_law_of_symbols_that_it_does_not_know_is_left_to_the_reference() -> None:
    # Given a network of symbols of somebody's own
    config = PixelCNNConfig(4, 4, levels=5, channels=6, blocks=2)
    case = vector_case(OwnPixelCNN, config)
    # Then the reference draws it, unless the native one was asked for
    sampler = Sampler(case.net, slots=2)
    assert "/reference/" in sampler.numerics
    (sample,) = sampler.sample([SampleRequest(0, case.requests[0], seed=1)])
    naive = sample_naive(case.net, case.requests[0], 1)
    assert (sample.symbols == naive.symbols.numpy()).all()
    with pytest.raises(ConfigError, match="the native executor"):
        Sampler(case.net, executor="native")


def law_of_two(first: Distribution, second: Distribution) -> StepProgram:
    """A program whose second symbol has a law of its own."""
    step: list[Op] = []
    for law in (first, second):
        parameters = Register(law.parameters)
        given = Condition("global", 0, parameters, accumulate=False)
        step += [given, Draw(parameters, law)]
    return StepProgram(None, None, tuple(step), global_width=8)


def law_of_a_colour(mixed: LogisticMixture, drawn: LogisticMixture) -> StepProgram:
    """A program that mixes a colour by one law, and draws it by another."""
    raw, colour = Register(10 * mixed.components), Register(drawn.parameters)
    given = Condition("global", 0, raw, accumulate=False)
    step = (given, ColourMixture(raw, 0, mixed, colour), Draw(colour, drawn))
    return StepProgram(None, None, step, global_width=raw.width)


@needs_native
@pytest.mark.parametrize(
    ("law", "other", "program"),
    [
        (Gaussian(0.0), Gaussian(1000.0), law_of_two),
        (Categorical(4), LogisticMixture(4, 2), law_of_two),
        (LogisticMixture(4, 1), LogisticMixture(4, 2), law_of_two),
        (LogisticMixture(4, 1), LogisticMixture(8, 1), law_of_a_colour),
    ],
)
def test_a_program_of_several_laws_is_left_to_the_reference(
    law: Any, other: Any, program: Callable[[Any, Any], StepProgram]
) -> None:
    assert isinstance(_executor("auto", program(law, law)), NativeExecutor)
    assert isinstance(_executor("auto", program(law, other)), ReferenceExecutor)
    with pytest.raises(ConfigError, match="the native executor does not draw such symbols"):
        _executor("native", program(law, other))


@needs_native
@pytest.mark.parametrize(
    ("machine", "build", "slots", "kind"),
    [
        ("x86_64", "generic", FEW_SLOTS, NativeExecutor),
        ("x86_64", "generic", FEW_SLOTS + 1, ReferenceExecutor),
        ("AMD64", "generic", FEW_SLOTS + 1, ReferenceExecutor),
        ("aarch64", "generic", FEW_SLOTS + 1, NativeExecutor),
        ("x86_64", available()[0] if available() else "", FEW_SLOTS + 1, NativeExecutor),
    ],
)
def test_of_many_slots_the_reference_serves_where_the_generic_build_is_slower(
    monkeypatch: pytest.MonkeyPatch, machine: str, build: str, slots: int, kind: type
) -> None:
    # Given a processor whose best build is that one
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(executors, "find", lambda: library.load(build))

    # Then
    assert isinstance(_executor("auto", slots=slots), kind)
    # And whoever asks for the build or for threads gets it
    assert isinstance(_executor(library.load(build), slots=slots), NativeExecutor)
    assert isinstance(_executor("auto", slots=slots, threads=2), NativeExecutor)


@needs_native
def test_a_build_draws_no_other_dtype_than_its_own() -> None:
    with pytest.raises(ConfigError, match=r"the native executor .* torch\.float64"):
        _executor(library.load(), dtype=torch.float64)


def test_the_reference_is_taken_by_name() -> None:
    assert isinstance(_executor("reference"), ReferenceExecutor)


def test_graph_is_taken_by_name() -> None:
    assert isinstance(_executor("graph"), GraphExecutor)
    assert isinstance(_executor("graph", dtype=torch.float64), GraphExecutor)


@pytest.mark.parametrize(
    "asked", [{"dtype": torch.bfloat16}, {"dtype": torch.float16}, {"device": "meta"}]
)
def test_graph_draws_in_no_other_dtype_and_nowhere_else(asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="graph executor draws in float32 or float64 on cuda or"):
        _executor("graph", **asked)


@pytest.mark.parametrize("name", ["graph", "fused", "fused-few"])
def test_executors_of_gpus_have_one_thread(name: ExecutorName) -> None:
    with pytest.raises(ConfigError, match=f"the {name} executor has one thread"):
        _executor(name, threads=2)


def test_an_executor_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="graph, fused, fused-few, not 'quick'"):
        _executor("quick")  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{}, {"dtype": torch.float64}])
def test_the_reference_has_one_thread(asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="has one thread: run a sampler in each process"):
        _executor("reference", threads=2, **asked)


def test_what_falls_back_on_the_reference_has_one_thread_too() -> None:
    with pytest.raises(ConfigError, match="the reference executor has one thread"):
        _executor("auto", dtype=torch.float64, threads=2)


@pytest.mark.usefixtures("nothing_built")
def test_without_a_build_the_reference_serves_unless_the_native_one_was_asked_for() -> None:
    assert isinstance(_executor("auto"), ReferenceExecutor)
    with pytest.raises(NativeMissing, match="not built"):
        _executor("native")
    with pytest.raises(ConfigError, match="one thread"):
        _executor("auto", threads=2)
    with pytest.raises(ConfigError, match="in bfloat16, and it is not here"):
        _executor("auto", dtype=torch.bfloat16)


#: Draws twice in a process without builds, and once where the reference was asked for.
DRAW = """
import pathlib, sys
from ancestral.models import Sampler, SampleRequest, load_bundle
from ancestral.models.sampling.native import library

library.look_in(pathlib.Path(sys.argv[1]))
net = load_bundle(pathlib.Path(sys.argv[2])).net
for executor in ("auto", "auto", "reference"):
    sampler = Sampler(net, executor=executor)
    (sample,) = sampler.sample([SampleRequest(0, {}, seed=1)])
    print(sampler.numerics.split("/")[1], sample.symbols.tolist(), sample.log_likelihood_nats)
"""


def test_a_process_without_a_build_draws_and_says_so_once(tmp_path: Path) -> None:
    # Given a network, and a folder without builds
    save_bundle(tmp_path / "bundle", image_case().net, card="A toy.", metrics={})
    folder = tmp_path / "empty"
    folder.mkdir()
    # When a process draws there, as Python logs when nobody has set it up
    run = subprocess.run(
        [sys.executable, "-c", DRAW, folder, tmp_path / "bundle"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Then the reference draws, and one line says that it does
    lines = run.stdout.splitlines()
    assert len(lines) == 3 and len(set(lines)) == 1
    assert lines[0].startswith("reference ")
    (line,) = run.stderr.splitlines()
    assert line.startswith("sampling on the reference executor, which is slower: ")


def test_bfloat16_is_not_for_the_reference() -> None:
    with pytest.raises(ConfigError, match="only the native executor draws in bfloat16"):
        _executor("reference", dtype=torch.bfloat16)


@pytest.mark.parametrize("name", [name for name in available() if name != "avx512bf16"])
def test_bfloat16_is_not_for_a_build_without_it(name: str) -> None:
    with pytest.raises(ConfigError, match="bfloat16 needs a processor with AVX-512 BF16"):
        _executor(library.load(name), dtype=torch.bfloat16)


def test_numerics_tell_executors_dtypes_and_nothing_else_apart() -> None:
    def numerics(**asked: Any) -> str:
        return Sampler(image_case().net, **asked).numerics

    names = [numerics(executor="reference"), numerics(dtype=torch.float64)]
    names.append(numerics(executor="graph"))
    assert numerics(executor="graph", slots=3) == names[-1]
    if available():
        names.append(numerics())
        for name in available():
            assert numerics(executor=library.load(name), slots=3, threads=2) == names[-1]
    if "avx512bf16" in available():
        names.append(numerics(dtype=torch.bfloat16))
    assert len(set(names)) == len(names)
    kinds = [tuple(name.split("/")[1:3]) for name in names]
    assert kinds[:2] == [("reference", "float32"), ("reference", "float64")]
    assert kinds[2] == ("graph", "float32")
    assert kinds[3:] in (
        [],
        [("native", "float32")],
        [("native", "float32"), ("native", "bfloat16")],
    )


@pytest.mark.parametrize(
    ("name", "owner", "method"),
    [
        ("reference", type(image_case().net), "project"),
        ("reference", ReferenceTile, "run"),
        ("graph", ReplayRecorder, "record"),
    ],
)
def test_products_are_never_rounded_whatever_the_caller_prefers(
    monkeypatch: pytest.MonkeyPatch, name: ExecutorName, owner: type, method: str
) -> None:
    # Given a caller who lets a GPU round what it multiplies and convolves
    heard: list[list[str]] = []
    kinds = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)

    def precisions() -> list[str]:
        return [kind.fp32_precision for kind in kinds]

    for kind in kinds:
        monkeypatch.setattr(kind, "fp32_precision", "tf32")
    unwatched = getattr(owner, method)

    def watched(*given: Any) -> Any:
        heard.append(precisions())
        return unwatched(*given)

    monkeypatch.setattr(owner, method, watched)

    # When a network is set up, and draws
    sampler = Sampler(image_case().net, slots=1, executor=name)
    list(sampler.sample([SampleRequest(0, {}, seed=1)]))

    # Then they are not rounded meanwhile, and afterwards as before
    assert heard and all(each == ["ieee", "ieee"] for each in heard)
    assert precisions() == ["tf32", "tf32"]
