"""Runs programs of this folder one after another: TensorFlow takes seconds to load.

Reads their names, one a line, and answers each with a line of JSON: what the program printed, and
the trace of what it raised.
"""

import contextlib
import io
import json
import runpy
import sys
import traceback
from pathlib import Path

import keras

for line in sys.stdin:
    said = io.StringIO()
    keras.utils.clear_session()  # names begin anew
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_path(str(Path(__file__).with_name(f"{line.strip()}.py")))
        except BaseException:
            traceback.print_exc()
    print(json.dumps(said.getvalue()), flush=True)
