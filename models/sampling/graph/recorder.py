"""Record a step once, and run it again without Python: on the same tensors, in the same order.

A record holds whatever Python decided while it was made. `CudaRecorder` makes CUDA graphs.
`ReplayRecorder` is its twin on any device: it keeps each operation with the tensors that it worked
on. A step that hides a decision from its phase goes wrong in the one as it does in the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ancestral.models.errors import ConfigError


class Recorder(ABC):
    """Makes records of steps that change tensors in place.

    What a step makes new is its own: nobody reads it after the step, for records share it.
    """

    @abstractmethod
    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Run a step once, and return what runs it again.

        Raises ConfigError for a step that cannot be recorded.
        """


class CudaRecorder(Recorder):
    """CUDA graphs, which share one pool of memory: they run one after another."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.device(device):
            self._pool = torch.cuda.graph_pool_handle()

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device):
            # It runs before it is captured, for libraries make themselves ready at the first call.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                step()
            torch.cuda.current_stream().wait_stream(self._stream)
            try:
                with torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    # Other threads may use the device meanwhile.
                    capture_error_mode="thread_local",
                ):
                    step()
            except RuntimeError as error:
                # A capture that found no memory may end in another error than the one that it met.
                if any("out of memory" in str(met) for met in (error, error.__context__)):
                    raise torch.OutOfMemoryError(str(error)) from error
                raise ConfigError(
                    f"a step of this network cannot be captured as a CUDA graph ({error}): "
                    "take executor='reference'"
                ) from error
        return graph.replay


class ReplayRecorder(Recorder):
    """Operations, kept with their very tensors."""

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        tape = _Tape()
        with tape:
            step()
        return tape.replay


#: Operations that read a tensor's numbers into Python, make a tensor of such numbers, or decide a
#: shape by them. A CUDA graph has none of them.
_NOT_RECORDED = {
    torch.ops.aten._local_scalar_dense,
    torch.ops.aten.equal,
    torch.ops.aten.is_nonzero,
    torch.ops.aten.lift_fresh,
    torch.ops.aten.masked_select,
    torch.ops.aten.nonzero,
}


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the operations that run within it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._operations: list[Callable[[], None]] = []

    def replay(self) -> None:
        """Run them again."""
        for operation in self._operations:
            operation()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else each operation goes through the compiler's guard, which takes longer than it does.
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket in _NOT_RECORDED or _picks(func, args):
            raise ConfigError(f"a step of this network cannot be recorded: {func} reads numbers")
        result = func(*args, **kwargs)
        known = {_memory(tensor) for tensor in _tensors((*args, *kwargs.values()))}
        if any(_memory(tensor) not in known for tensor in _tensors(result)):
            self._operations.append(lambda: _again(func, args, kwargs, result))
        elif func._schema.is_mutable:
            self._operations.append(lambda: func(*args, **kwargs))
        return result


def _again(func: Any, args: Any, kwargs: Any, result: Any) -> None:
    """Run an operation again and put what it makes where it was put before."""
    for place, made in zip(_tensors(result), _tensors(func(*args, **kwargs)), strict=True):
        place.copy_(made)


def _picks(func: Any, args: Any) -> bool:
    """Whether an operation takes what a mask says, so that the mask decides a shape."""
    packets = (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_)
    return func.overloadpacket in packets and any(
        tensor.dtype == torch.bool for tensor in _tensors(args[1])
    )


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for branch in tree:
            yield from _tensors(branch)
