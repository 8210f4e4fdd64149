"""An interpreter that brings the plugin along and speaks real numbers."""

import numbers
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgeax.formats import decode_graph, decode_lut
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.backends import Backend, load_backend
from edgeax.runtime.details import FileDetails, read_details
from edgeax.runtime.plugin import delegate_path, load_delegate
from edgeax.runtime.ports import Port

MOST_THREADS = 1024
"""More end the process in stock interpreters where the system has no more."""

# An input tensor with the values for it, in the tensor's own type.
_Fed = tuple[Port, np.ndarray]


class Interpreter:
    """Runs a `.tflite` file in the stock interpreter, with edgeax's plugin where it is needed.

    The file is checked before the stock interpreter sees it, its tensors are allocated at once,
    and `run` takes and gives real numbers. Everything else of the stock interpreter is here too:
    `get_input_details`, `set_tensor`, `invoke`, `get_signature_runner`, ...

    A file for TensorFlow Lite Micro runs too where its own operator DECODE is all that the stock
    interpreter lacks: the kernels are decoded as the file is loaded.

    Args:
        model_path: The file. Give this or `model_content`.
        model_content: The bytes of a file.
        num_threads: Threads of the interpreter, 1 to 1024; None leaves the choice to it.
        preserve_all_tensors: Keeps every intermediate tensor readable after an invoke.
        backend: "ai_edge_litert", "tflite_runtime", "tensorflow", or "auto" for the first of
            these that is installed.
        delegate_options: Options of the plugin.
    Raises:
        FileNotFoundError: The file needs the plugin, and the plugin's library is missing.
        ValueError: There is no such file, it is damaged or no TFLite file, or has operators that
            the interpreter does not know.
        ImportError: No interpreter package is installed.
    Example: `edgeax.Interpreter("model.tflite").run(images)`.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        num_threads: int | None = None,
        preserve_all_tensors: bool = False,
        backend: str = "auto",
        delegate_options: Mapping[str, str] | None = None,
    ) -> None:
        source = model_path if model_content is None else model_content
        if source is None or (model_path is not None and model_content is not None):
            raise ValueError(
                "Exactly one of `model_path` and `model_content` must be given. Received: "
                f"{'neither' if source is None else 'both'}. Pass the path or the bytes."
            )
        is_whole = isinstance(num_threads, numbers.Integral) and not isinstance(num_threads, bool)
        if num_threads is not None and not (is_whole and 1 <= num_threads <= MOST_THREADS):
            raise ValueError(
                f"`num_threads` must be an integer, at least 1 and at most {MOST_THREADS}, or "
                f"None. Received: {num_threads!r}. Leave it out to let the interpreter choose."
            )
        self._details = read_details(source)
        if decode_lut.OPERATOR in self._details.custom_operators:
            model_path, model_content = None, _decoded(source, self._details.name)
        package = load_backend(backend)
        delegates = self._load_plugin(package, delegate_options)
        self._stock = self._build(
            package,
            model_path=None if model_path is None else os.fspath(model_path),
            model_content=model_content,
            num_threads=num_threads,
            experimental_preserve_all_tensors=preserve_all_tensors,
            experimental_delegates=delegates,
        )

    def __getattr__(self, name: str) -> Any:
        """Forwards whatever is not defined here to the stock interpreter."""
        if name.startswith("_"):  # also while the constructor has not come to `_stock` yet
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._stock, name)

    @property
    def details(self) -> FileDetails:
        """What the file holds: operators, tensors, bytes, metadata."""
        return self._details

    def run(self, *inputs: Any, raw: bool = False) -> np.ndarray | list[np.ndarray]:
        """Computes the outputs for one batch of inputs.

        A file for batch 1 takes any number of rows: they run one after the other, each from
        cleared state. A file of a stateful model keeps its state from row to row and from call to
        call: see `reset_state`.

        Args:
            *inputs: Real values, one array for each input in the order of the file; or one dict
                from input name (of the tensor or of the file's signature) to array.
            raw: Whether inputs and outputs are what the tensors store (codes of quantized ones)
                instead of real values.
        Returns:
            The output, or a list of all outputs where the file has several; float32 where the
            file's output is quantized.
        Raises:
            ValueError: An input is missing, has the wrong shape or type, or is not finite.
        """
        outputs = [Port.from_details(entry) for entry in self._stock.get_output_details()]
        batches = [self._run_batch(fed, outputs) for fed in _batches(self._checked(inputs, raw))]
        stored = [_joined(port, parts) for port, *parts in zip(outputs, *batches, strict=True)]
        if raw:
            values = stored
        else:
            values = [port.real(part) for port, part in zip(outputs, stored, strict=True)]
        return values[0] if len(values) == 1 else values

    def reset_state(self) -> None:
        """Clears what a stateful model remembers of former runs."""
        self._stock.reset_all_variables()

    def feed(self, *inputs: Any, raw: bool = False) -> None:
        """Puts inputs as for `run` into the input tensors, without computing anything.

        Of more rows than the file takes only the first ones are used.
        """
        self._set(next(_batches(self._checked(inputs, raw))))

    def _load_plugin(self, package: Backend, options: Mapping[str, str] | None) -> list[Any]:
        """Returns the plugin in a list, or an empty list for files that do not need it."""
        details = self._details
        needed = details.plugin_operators
        if not needed:
            return []
        newer = sorted(set(needed) & set(details.unknown_operators))
        if newer:
            raise ValueError(
                f"{details.name} must have operators that this release of edgeax knows. Received: "
                f"{', '.join(newer)}, written by edgeax {details.written_by}. Run "
                "`pip install --upgrade edgeax`."
            )
        try:
            delegate_path()
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{details.name} needs edgeax's plugin for its operators {', '.join(needed)}. "
                f'{error} Or export the model with runtime="stock": it needs no plugin then.'
            ) from error
        return [load_delegate(options, package.name)]

    def _build(self, package: Backend, **arguments: Any) -> Any:
        """Makes the stock interpreter and allocates its tensors."""
        try:
            stock = package.interpreter(**arguments)
            stock.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            unknown = self._details.unknown_operators
            cure = (
                f"It has custom operators that edgeax does not know: {', '.join(unknown)}. They "
                "need the library of whoever made the file."
                if unknown
                else "Export it again, or try another backend."
            )
            reason = " ".join(str(error).split()).rstrip(".")
            raise ValueError(
                f"{self._details.name} cannot be run by {package.name}: {reason}. {cure}"
            ) from error
        return stock

    def _checked(self, inputs: Sequence[Any], raw: bool) -> list[_Fed]:
        ports = [Port.from_details(entry) for entry in self._stock.get_input_details()]
        if len(inputs) == 1 and isinstance(inputs[0], Mapping):
            inputs = self._by_name(ports, inputs[0])
        if len(inputs) != len(ports):
            raise ValueError(
                f"`inputs` must be one array for each of {[port.name for port in ports]}. "
                f"Received: {len(inputs)} arrays."
            )
        return [(port, port.checked(x, raw)) for port, x in zip(ports, inputs, strict=True)]

    def _by_name(self, ports: Sequence[Port], named: Mapping[str, Any]) -> list[Any]:
        """Puts named inputs in the order of the file."""
        other_names = self._signature_names()
        keys = [
            next((key for key in named if key in (port.name, other_names.get(port.name))), None)
            for port in ports
        ]
        if None in keys or len(named) != len(ports):
            wanted = [other_names.get(port.name, port.name) for port in ports]
            raise ValueError(f"`inputs` must be a dict of {wanted}. Received: {list(named)}.")
        return [named[key] for key in keys if key is not None]

    def _signature_names(self) -> dict[str, str]:
        """Tensor name to the name that the file's signatures give to the same input."""
        return {
            details["name"]: name
            for key in self._stock.get_signature_list()
            for name, details in self._stock.get_signature_runner(key).get_input_details().items()
        }

    def _run_batch(self, fed: Sequence[_Fed], outputs: Sequence[Port]) -> list[np.ndarray]:
        """Runs one batch of the file's size; returns what the output tensors store."""
        if not self._details.is_stateful:
            self.reset_state()
        self._set(fed)
        self._stock.invoke()
        return [self._stock.get_tensor(port.index) for port in outputs]

    def _set(self, fed: Sequence[_Fed]) -> None:
        for port, values in fed:
            self._stock.set_tensor(port.index, values)


def _decoded(source: str | os.PathLike[str] | bytes, name: str) -> bytes:
    """Returns a file whose kernels TensorFlow Lite Micro would decode, with decoded ones."""
    if isinstance(source, bytes | bytearray | memoryview):
        model = Model.from_bytes(bytes(source))
    else:
        model = Model.read(source)
    try:
        decode_graph.expand(model)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return model.to_bytes()


def _batches(fed: Sequence[_Fed]) -> Iterator[list[_Fed]]:
    """Cuts checked inputs into batches of the file's size."""
    if all(values.shape == port.shape for port, values in fed):
        yield list(fed)
        return
    counts = {len(values) for _, values in fed if values.ndim}
    for port, values in fed:
        if port.shape[:1] != (1,) or len(counts) != 1 or 0 in counts:
            raise ValueError(
                f"Input {port.name!r} must have shape {port.expected_shape}, with as many rows as "
                f"the other inputs, at least 1. Received: shape {values.shape}. Cut the data into "
                "batches of that size."
            )
    for i in range(counts.pop()):
        yield [(port, values[i : i + 1]) for port, values in fed]


def _joined(port: Port, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Puts the outputs of all batches together along the first axis."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].shape[:1] != (1,):
        raise ValueError(
            f"Output {port.name!r} must have a batch dimension of 1 to run several rows. "
            f"Received: shape {parts[0].shape}. Pass one row at a time."
        )
    return np.concatenate(parts)
