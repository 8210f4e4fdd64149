"""Marks the invokes of files for the instruction counter: numpy, LiteRT, nothing else.

    python count_invokes.py MARKS PLUGIN FILE...

MARKS: the library of tests/emulation/counter/marks.c. PLUGIN: edgeax's library. FILE: up to 7
`.tflite`, each with one input. Region i of the counter holds `VISITS` invokes of the file number i,
which has run before; region `EMPTY` holds as many times nothing, which costs what marking does.
"""

import ctypes
import gc
import sys

VISITS = 3
EMPTY = 7


def main() -> None:
    # Neither is there where `kernels_arm.py` reads the numbers above.
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    marks, plugin, *files = sys.argv[1:]
    library = ctypes.CDLL(marks)
    begin, end = library.begin_region, library.end_region

    def visit(region, action):
        gc.collect()
        gc.disable()  # else it would run in some regions and not in others
        for _ in range(VISITS):
            begin(region)
            action()
            end(region)
        gc.enable()

    def empty():
        pass

    visit(EMPTY, empty)
    for region, file in enumerate(files):
        delegate = load_delegate(plugin)
        interpreter = Interpreter(file, num_threads=1, experimental_delegates=[delegate])
        interpreter.allocate_tensors()
        given = interpreter.get_input_details()[0]
        source = np.random.default_rng(0)
        codes = source.integers(-128, 128, given["shape"])  # as reals too, where the input is float
        interpreter.set_tensor(given["index"], codes.astype(given["dtype"]))
        interpreter.invoke()
        visit(region, interpreter.invoke)


if __name__ == "__main__":
    main()
