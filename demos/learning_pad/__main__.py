"""Learning pad: a page on which one draws, and a model that learns what is drawn on the spot.

    python demos/learning_pad --folder build/learning_pad

The network knows five shapes, of which it has seen computed drawings only. It is trained where
TensorFlow is, if the folder has none yet; from then on the page is served without TensorFlow: draw,
see what the model takes it for, say what it is. README.md, beside this file, tells more.
"""

import argparse
import pathlib
import sys

import learner
import prepare
import server


def main():
    parser = argparse.ArgumentParser(prog="python demos/learning_pad")
    parser.add_argument("--folder", type=pathlib.Path, default="build/learning_pad")
    parser.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 is every one")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="a name of this device that browsers may call it by, as raspberrypi.local",
    )
    parser.add_argument("--prepare", action="store_true", help="only train and write the model")
    arguments = parser.parse_args()
    if arguments.prepare or not (arguments.folder / prepare.MODEL).exists():
        receipt, accuracy = prepare.write(arguments.folder)
        print(f"{receipt}\naccuracy on computed drawings: {accuracy:.3f}", flush=True)
    if arguments.prepare:
        return 0
    pad = learner.Learner(arguments.folder)
    with server.Server(pad, arguments.host, arguments.port, arguments.name) as serving:
        print(f"The pad is at {serving.url}  (Ctrl+C ends it)", flush=True)
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
