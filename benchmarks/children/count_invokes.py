"""Marks the invokes of files for the instruction counter: numpy, LiteRT, nothing else.

    python count_invokes.py MARKS PLUGIN FILE...

MARKS: the library of tests/emulation/counter/marks.c. PLUGIN: edgeax's library. FILE: up to 7
`.tflite`, each with one input, or with an `.npz` beside it that has all of them by name. Region i
of the counter holds `VISITS` invokes of the file number i, which has run before; region `EMPTY`
holds as many times nothing, which costs what marking does.
"""

import ctypes
import gc
import sys
from pathlib import Path

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
        details, held = interpreter.get_input_details(), Path(file).with_suffix(".npz")
        if held.exists():
            with np.load(held) as arrays:
                given = {detail["index"]: arrays[detail["name"]] for detail in details}
        else:  # codes, as reals too, where the input is float
            codes = np.random.default_rng(0).integers(-128, 128, details[0]["shape"])
            given = {details[0]["index"]: codes.astype(details[0]["dtype"])}
        for index, values in given.items():
            interpreter.set_tensor(index, values)
        interpreter.invoke()
        visit(region, interpreter.invoke)


if __name__ == "__main__":
    main()
