"""Keyword spotting on microcontrollers: a network learns twelve words and becomes C++ for a board.

    python demos/mcu_keyword_spotting --output build/mcu_keyword_spotting

The float network is trained first; then it is rounded while it trains on, once to int8 and once to
16 shared values a layer. Each becomes a `.tflite` file, and that a C++ library without an
interpreter (`edgeax.mcu`). The program runs on this machine and, clip by clip, on a Cortex-M4, M7
and M55 that QEMU plays; their scores must be the same, byte by byte.

Features of real clips are bundled (demos/data); `--data FILE` takes others of the same layout.
README.md, beside this file, goes on to a real board.
"""

import argparse
import json
import pathlib
import sys

import boards
import keras
import numpy as np
import speech
from ai_edge_litert.interpreter import Interpreter

import edgeax

RECIPES = {"int8": "static_wi8_ai8", "4 bits": "static_wc4_ai8"}


def interpreter_of(path):
    """Returns a file in the stock interpreter."""
    interpreter = Interpreter(str(path), experimental_delegates=[edgeax.load_delegate()])
    interpreter.allocate_tensors()
    return interpreter


def codes_of(interpreter, clips):
    """Returns clips as the input of a file stores them, int8."""
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    return np.clip(np.round(clips / scale) + zero_point, -128, 127).astype(np.int8)


def interpreted(interpreter, codes):
    """Returns the scores that the interpreter gives, int8 (clips, classes)."""
    given = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    scores = []
    for clip in codes:
        interpreter.set_tensor(given, clip[None])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(result)[0])
    return np.array(scores)


def write_front_end(clips, path):
    """Writes what the code that listens on a board needs to know."""
    numbers = {"kMean": clips.mean, "kDeviation": clips.deviation}
    tables = [
        f"constexpr float {name}[{len(row)}] = {{{', '.join(f'{x:.6f}f' for x in row)}}};"
        for name, row in numbers.items()
    ]
    words = ", ".join(f'"{name}"' for name in clips.classes)
    path.write_text(
        "#pragma once  // What the clips were: feature = (mfcc - kMean[i]) / kDeviation[i].\n\n"
        + "\n".join(tables)
        + f"\nconstexpr const char* kWords[{len(clips.classes)}] = {{{words}}};\n"
    )


def accuracy(scores, labels):
    """Returns the part of clips whose highest score is at the label."""
    return float(np.mean(scores.argmax(-1) == labels[: len(scores)]))


def run(name, file, test, output, on_boards):
    """Generates programs from a file and runs them; returns the rows of the table.

    Args:
        name: What the file is, for people.
        file: The `.tflite` file.
        test: Clips and labels.
        output: Folder for programs.
        on_boards: How many of the clips boards run.
    """
    clips, labels = test
    interpreter = interpreter_of(file)
    codes = codes_of(interpreter, clips)
    edgeax.mcu.generate(file, output / "pc", target="host", name="keywords")
    on_pc = boards.run_on_pc(output / "pc", codes, output)
    same = np.mean(on_pc.argmax(-1) == interpreted(interpreter, codes).argmax(-1))
    rows = [
        {
            "network": name,
            "runs on": "this machine",
            "clips": len(clips),
            "accuracy": accuracy(on_pc, labels),
            "as the interpreter": float(same),
        }
    ]
    for board in () if boards.what_is_missing() else boards.BOARDS:
        report = edgeax.mcu.generate(
            file, output / board.target, target=board.target, name="keywords"
        )
        ran = boards.run_on_board(board, output / board.target, codes[:on_boards], output)
        rows.append(
            {
                "network": name,
                "runs on": f"{board.target} ({board.machine})",
                "clips": len(ran.scores),
                "accuracy": accuracy(ran.scores, labels),
                "as this machine": bool(np.array_equal(ran.scores, on_pc[: len(ran.scores)])),
                "accuracy of this machine": accuracy(on_pc[: len(ran.scores)], labels),
                "flash": ran.flash_bytes,
                "of it constants": report.constant_bytes,
                "RAM": ran.ram_bytes,
                "instructions": round(ran.instructions),
            }
        )
    return rows


def show(rows):
    """Prints the table; returns whether all boards gave what this machine did."""
    print(
        f"\n{'network':<8}{'runs on':<24}{'clips':>6}{'accuracy':>10}{'flash':>9}{'constants':>11}"
        f"{'RAM':>8}{'instructions':>14}"
    )
    for row in rows:
        line = f"{row['network']:<8}{row['runs on']:<24}{row['clips']:>6}{row['accuracy']:>10.4f}"
        if "flash" in row:
            line += f"{row['flash']:>9,}{row['of it constants']:>11,}{row['RAM']:>8,}"
            line += f"{row['instructions']:>14,}"
        print(line)
    for row in rows:
        if "as the interpreter" in row:
            share = row["as the interpreter"]
            print(f"{row['network']}: program and interpreter say the same word on {share:.2%}.")
    equal = [row["as this machine"] for row in rows if "as this machine" in row]
    if equal:
        print(f"Scores of boards equal this machine's, byte by byte: {all(equal)}.")
    return all(equal)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--output", default="build/mcu_keyword_spotting", help="folder of the files"
    )
    parser.add_argument(
        "--data", default=speech.BUNDLED, help=".npz file of mfcc, y, speaker, classes"
    )
    parser.add_argument("--epochs", type=int, default=20, help="epochs of the float training")
    parser.add_argument("--clips", type=int, default=200, help="test clips that boards run")
    parser.add_argument("--quick", action="store_true", help="a tiny run, to see that all is there")
    arguments = parser.parse_args()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)

    clips = speech.Clips(arguments.data)
    epochs, on_boards = (1, 4) if arguments.quick else (arguments.epochs, arguments.clips)
    filters, blocks = (8, 1) if arguments.quick else (64, 4)
    if arguments.quick:
        clips.train, clips.test = (
            [part[:128] for part in pair] for pair in (clips.train, clips.test)
        )
    write_front_end(clips, output / "front_end.h")
    if missing := boards.what_is_missing():
        print(f"Boards are left out: {missing}")

    network = speech.build_network(len(clips.classes), filters, blocks)
    print(f"1. Train {network.count_params():,} parameters in float32")
    speech.train(network, clips.train, epochs, learning_rate=3e-3)

    rows = []
    for step, (name, recipe) in enumerate(RECIPES.items(), 2):
        print(f"{step}. {name}: round while training on, export, generate C++, build, run")
        small = edgeax.compress(network, recipe)
        speech.train(small, clips.train, -(-epochs // 4), learning_rate=5e-4)
        folder = output / name.replace(" ", "_")
        folder.mkdir(exist_ok=True)
        result = edgeax.export(
            small, folder / "keywords.tflite", clips.train[0][:300], io="int8", measure=False
        )
        print(result)
        rows += run(name, folder / "keywords.tflite", clips.test, folder, on_boards)
    (output / "receipt.json").write_text(json.dumps(rows, indent=2) + "\n")
    is_equal = show(rows)
    print(f"Files, programs, front_end.h and receipt.json are in {output}.")
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
