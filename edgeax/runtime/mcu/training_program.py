"""A step of training as a program: frozen layers, trained ones, the loss, and all the way back."""

import contextlib
import dataclasses
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeax.formats.flatbuffer import Model, Subgraph
from edgeax.formats.rounding import quantize_multiplier
from edgeax.runtime.mcu.backward import RULES
from edgeax.runtime.mcu.backward.tape import Backward, Rule, Tape
from edgeax.runtime.mcu.choose import choose, smallest
from edgeax.runtime.mcu.fold import fold_activations, fold_pads
from edgeax.runtime.mcu.node import NO_BORDERS, Node
from edgeax.runtime.mcu.operators import codes
from edgeax.runtime.mcu.plan import Plan, plan, stage_of
from edgeax.runtime.mcu.program import Alias, Array, Program, Step, Struct, Value
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from edgeax.runtime.mcu.trainable import parts_of, told

ROUNDING = "double"  # the integers of every target, which trained weights depend on
LOSSES = ("cross_entropy", "mean_square")
ONE = 2**15  # of probabilities
MOST_OUTPUTS = 4096
_LOSS_ONE = 2**16
_MOST_TRIES = 5  # to find how much RAM is left for frozen layers
_MOST_SCALE = 100.0  # of scores: 255 steps of them fit int32 as a loss


@dataclasses.dataclass(frozen=True, eq=False)
class Training:
    """A step of training whose buffers have places.

    Attributes:
        plan: Stages and buffers of all of it.
        steps: The steps behind the frozen layers; the first `forward` of them give the outputs.
        forward: How many.
        only_training: Which of those `infer` can do without.
        stock: Operators of `content` whose steps programs without training have too, by step.
        content: The file, activations folded.
        frozen: The file of the frozen layers; None: there are none.
        frozen_outputs: Numbers of what it gives.
        inputs: Numbers of the file's inputs.
        wanted: Number of what an output is compared with: a class, or codes.
        output: Number of the output.
        loss: Number of the loss, and name of its kind.
        kind: One of `LOSSES`.
        learnt: Numbers of the states that are trained, in the order in which they are saved.
        random: Number of the state of the random numbers.
    """

    plan: Plan
    steps: tuple[Step, ...]
    forward: int
    only_training: frozenset[int]
    stock: dict[int, int]
    content: bytes
    frozen: bytes | None
    frozen_outputs: tuple[int, ...]
    inputs: tuple[int, ...]
    wanted: int
    output: int
    loss: int
    kind: str
    learnt: tuple[int, ...]
    random: int

    @property
    def outputs(self) -> int:
        """How many outputs there are."""
        return math.prod(self.value(self.output).shape)

    @property
    def forward_stages(self) -> int:
        """Stages of the plan up to the outputs."""
        return len(self.plan.stages) - len(self.steps) + self.forward

    def value(self, number: int) -> Value:
        """Returns a value of the program."""
        return self.plan.program.values[number]

    @property
    def saved_bytes(self) -> int:
        """Bytes that hold what was learnt: a checksum, and the trained states."""
        return 4 + sum(self.value(number).size_bytes for number in self.learnt)

    @property
    def mark(self) -> int:
        """What the checksum of saved bytes starts from, so that those of other layers fail it."""
        content = [self._first(number) for number in self.learnt]
        told_shapes = [self.value(number).name.encode() for number in self.learnt]
        return zlib.crc32(b"".join([*told_shapes, *content]))

    def _first(self, number: int) -> bytes:
        initial = self.value(number).initial
        return initial.data.tobytes() if isinstance(initial, Array) else b""


def training_of(
    data: bytes, target: str, trainable: Any, rule: Rule, kind: str, ram_bytes: int | None
) -> Training:
    """Returns the step of training of a file.

    Args:
        data: The file's content.
        target: Name of the processor.
        trainable: As `edgeax.mcu.generate_training` takes it.
        rule: How weights move.
        kind: One of `LOSSES`.
        ram_bytes: The most static RAM; None: no limit.

    Raises:
        ValueError: The file holds what no program can be generated for, or what cannot be trained,
            named by its place; or `ram_bytes` is too small.
    """

    def trained(most: int | None) -> Training:
        return _training(data, target, trainable, rule, kind, most)

    found = trained(None)
    if ram_bytes is None or found.plan.ram_bytes <= ram_bytes:
        return found
    least = min(found, trained(0), key=_ram_bytes)
    if least.plan.ram_bytes > ram_bytes:
        raise ValueError(
            f"`ram_bytes` must be at least {least.plan.ram_bytes} for this model and what is "
            f"trained of it. Received: {ram_bytes}. Allow that much, or train less of it."
        )
    best, low, high = least, 0, ram_bytes - found.plan.state_bytes
    most = high
    for _ in range(_MOST_TRIES):
        fits = True
        with contextlib.suppress(ValueError):  # the frozen layers alone take more
            tried = trained(most)
            fits = tried.plan.ram_bytes <= ram_bytes
            best = tried if fits else best
        low, high = (most, high) if fits else (low, most)
        most = (low + high) // 2
        if low == high:
            break
    return best


def _ram_bytes(training: Training) -> int:
    return training.plan.ram_bytes


def _training(
    data: bytes, target: str, trainable: Any, rule: Rule, kind: str, most: int | None
) -> Training:
    """Returns the step of training.

    `most`: bytes that the frozen layers may take on their own; 0: the fewest there are; None: what
    costs next to nothing.
    """
    whole = read_program(data, TARGETS[target], ROUNDING)  # checks the whole file
    if any(value.is_state for value in whole.values.values()):
        raise ValueError(
            "a model that learns must keep nothing from one call to the next. Received: one with "
            "state. Train a model without state."
        )
    model = Model.from_bytes(data)
    graph = model.subgraphs[0]
    whole = dataclasses.replace(whole, reserved=len(graph.tensors))
    folded = fold_activations(graph)
    running = [place for place in range(len(graph.operators)) if place not in folded]
    running = running[: running.index(_last(graph, running, kind)) + 1]
    parts = parts_of(graph, running, trainable)
    active = _active(graph, running, {*parts})
    content = model.to_bytes()
    borders, padded = fold_pads(graph)
    nodes = [
        Node(
            place,
            graph.operators[place],
            graph.tensors,
            TARGETS[target],
            ROUNDING,
            borders.get(place, NO_BORDERS),
        )
        for place in running
        if place in active and place not in padded
    ]
    differentiated = {output for place in active for output in graph.operators[place].outputs}
    frozen, frozen_outputs = _frozen(data, graph, active, nodes, differentiated)
    placed = _frozen_plan(frozen, whole, target, most)
    free = max(placed.program.free_number, whole.free_number)
    tape = Tape(graph.tensors, free, differentiated, parts, rule, running[-1])
    records = [(node, _record(tape, node)) for node in nodes]
    output = nodes[-1].outputs[0]
    forward = len([one for one in tape.forward if isinstance(one, Step)])
    loss_step, wanted, gradient, loss = _loss(tape, nodes[-1], kind, rule)
    tape.start(output, gradient)
    for node, backward in reversed(records):
        found = tape.gradient(node.outputs[0])
        if found is not None:
            backward(found)
    steps = [one for one in tape.forward if isinstance(one, Step)] + [loss_step, *tape.backward]
    values = {**placed.program.values, **{n: whole.values[n] for n in whole.inputs}, **tape.values}
    aliases = {one.write: one.read for one in tape.forward if isinstance(one, Alias)}
    program = Program(
        values,
        (*placed.program.steps, *steps),
        {**placed.program.aliases, **aliases},
        (*whole.inputs, wanted),
        (loss,),
    )
    first = len(placed.program.steps)
    own = [stage_of(program, place) for place in range(first, len(program.steps))]
    return Training(
        plan=plan(program, [*placed.stages, *own], quick=True),
        steps=tuple(steps),
        forward=forward,
        only_training=frozenset(at for at, step in enumerate(steps) if id(step) in tape.kept),
        stock={at: tape.stock[id(step)] for at, step in enumerate(steps) if id(step) in tape.stock},
        content=content,
        frozen=frozen,
        frozen_outputs=frozen_outputs,
        inputs=whole.inputs,
        wanted=wanted,
        output=output,
        loss=loss,
        kind=kind,
        learnt=tuple(tape.learnt),
        random=tape.random,
    )


def _last(graph: Subgraph, running: Sequence[int], kind: str) -> int:
    """Returns the place of the operator that computes the outputs, before any softmax."""
    places = [*running]
    last = graph.operators[places[-1]]
    has_softmax = last.name == "SOFTMAX" and len(places) > 1 and kind == "cross_entropy"
    if has_softmax:
        places.pop()
        if last.options.get("beta", 1.0) != 1.0:
            raise ValueError(
                f"operator {told(graph, running[-1])}: a last SOFTMAX must have beta 1. Received: "
                f"{last.options['beta']}. Leave it out of the model."
            )
    found = graph.operators[places[-1]]
    ends = (graph.outputs[0],) if len(graph.outputs) == 1 else ()
    writes = (*found.outputs, *(last.outputs if has_softmax else ()))
    if found.name != "FULLY_CONNECTED" or not ends or ends[0] not in writes:
        raise ValueError(
            "the file must end in a FULLY_CONNECTED, and a SOFTMAX or nothing, and have one "
            f"output. Received: operator {told(graph, places[-1])} last, {len(graph.outputs)} "
            "outputs. Export the model with io='int8' and a dense last layer."
        )
    return places[-1]


def _active(graph: Subgraph, running: Sequence[int], trained: set[int]) -> set[int]:
    """Returns the operators that are trained, or compute from what those do."""
    active: set[int] = set()
    changing: set[int] = set()
    for place in running:
        operator = graph.operators[place]
        if place in trained or changing & {*operator.inputs}:
            active.add(place)
            changing.update(operator.outputs)
    if running[-1] not in active:
        raise ValueError(
            "`trainable` must name layers that the output depends on. Received: only "
            f"{', '.join(told(graph, place) for place in sorted(active))}. Name a later one."
        )
    return active


def _frozen(
    data: bytes, graph: Subgraph, active: set[int], nodes: Sequence[Node], changing: set[int]
) -> tuple[bytes | None, tuple[int, ...]]:
    """Returns the file of all that does not change, and what the rest reads of it."""
    read = dict.fromkeys(
        tensor
        for node in nodes
        for tensor in node.inputs
        if tensor >= 0 and not graph.tensors[tensor].is_constant and tensor not in changing
    )
    outputs = tuple(tensor for tensor in read if tensor not in graph.inputs)
    if not outputs:
        return None, ()
    frozen = Model.from_bytes(data)  # without folded activations, which generate folds again
    kept = frozen.subgraphs[0]
    reached: set[int] = {*graph.inputs}
    operators = []
    for place, operator in enumerate(kept.operators):
        inputs = [t for t in operator.inputs if t >= 0 and not kept.tensors[t].is_constant]
        if place not in active and reached.issuperset(inputs):
            reached.update(operator.outputs)
            operators.append(operator)
    kept.operators = operators
    kept.outputs = [*outputs]
    return frozen.to_bytes(), outputs


def _frozen_plan(frozen: bytes | None, whole: Program, target: str, most: int | None) -> Plan:
    """Returns the plan of the frozen layers on their own."""
    if frozen is None:
        inputs = {number: whole.values[number] for number in whole.inputs}
        return Plan(Program(inputs, (), {}, whole.inputs, ()), (), {}, {}, 0, 0, 0)
    program = read_program(frozen, TARGETS[target], ROUNDING)
    program = dataclasses.replace(program, reserved=whole.free_number)
    thrifty = read_program(frozen, TARGETS[target], ROUNDING, is_thrifty=True)
    if most == 0:
        return smallest(program, TARGETS[target], thrifty).plan
    return choose(program, TARGETS[target], most, thrifty).plan


def _record(tape: Tape, node: Node) -> Backward:
    if node.operator.name not in RULES:
        node.fail(
            f"behind trained layers there must be only {', '.join(sorted(RULES))}",
            node.operator.name,
            "Train only layers behind it.",
        )
    return RULES[node.operator.name](tape, node)


def _loss(tape: Tape, node: Node, kind: str, rule: Rule) -> tuple[Step, int, int, int]:
    """Returns the step of the loss, and numbers: of what it compares with, gradient and loss."""
    outputs = math.prod(node.output().shape)
    scale = codes.scale_of(node, node.output(), "its output")
    node.require(outputs <= MOST_OUTPUTS, f"it must have at most {MOST_OUTPUTS} outputs", outputs)
    gradient = tape.new("gradient of the loss", "int16", outputs)
    loss = tape.word("loss", "int32", 1)
    if kind == "mean_square":
        wanted = tape.word("target", "int8", outputs)
        multiplier, shift = quantize_multiplier(scale * scale / outputs * _LOSS_ONE)
        arguments = Struct(
            "MeanSquareArgs",
            {
                "outputs": outputs,
                "least_error": rule.least_error,
                "loss_factor": codes.requantization(multiplier, shift),
            },
        )
        kernel = "MeanSquare"
    else:
        wanted = tape.word("label", "int32", 1)
        activation = node.options.get("fused_activation_function", "NONE")
        node.require(activation == "NONE", "scores of classes must have no activation", activation)
        node.require(outputs >= 2, "there must be 2 classes at least", outputs)
        node.require(
            scale <= _MOST_SCALE, f"its scores must have a scale up to {_MOST_SCALE}", scale
        )
        exponentials = np.round(np.exp(-scale * np.arange(256)) * ONE).astype(np.uint16)
        arguments = Struct(
            "CrossEntropyArgs",
            {
                "outputs": outputs,
                "least_error": rule.least_error,
                "exponentials": Array("exponentials", exponentials),
                "loss_step": max(round(scale * _LOSS_ONE), 1),
            },
        )
        kernel = "CrossEntropy"
    step = Step(
        label=f"loss of {node.label}",
        kernel=kernel,
        header="losses.h",
        arguments=arguments,
        reads=(node.outputs[0], wanted),
        writes=(gradient, loss),
    )
    return step, wanted, gradient, loss
