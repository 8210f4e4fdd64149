from edgeax.runtime.mcu.generate_training import generate_training
from edgeax.runtime.mcu.training_program import LOSSES
from tests.emulation import process
from tests.runtime.mcu import generated, networks

MAIN = """
#include "net.h"
int main() {
  int8_t in[12] = {}, scores[4];
  int32_t loss = -7;
  uint8_t first[net::saved_bytes], last[net::saved_bytes], other[net::saved_bytes] = {};
  net::reset();
  net::save(first);
  if (net::train(in, -1, &loss) || net::train(in, 4, &loss) || loss != -7) return 1;
  net::save(last);
  if (__builtin_memcmp(first, last, sizeof(first)) != 0) return 2;  // a refused step
  for (int i = 0; i < 20; ++i) {
    if (!net::train(in, 2, &loss) || loss < 0) return 3;
  }
  net::save(last);
  if (__builtin_memcmp(first, last, sizeof(first)) == 0) return 4;
  if (net::load(other)) return 5;
  net::infer(in, scores);
  if (scores[2] < scores[0] || scores[2] < scores[1] || scores[2] < scores[3]) return 6;
  if (!net::load(first)) return 7;
  net::save(other);
  return __builtin_memcmp(first, other, sizeof(first)) == 0 ? 0 : 8;
}
"""


def test_the_entry_points_refuse_and_restore(tmp_path):
    folder = tmp_path / "net"
    generate_training(networks.dense_chain(), folder, target="host", name="net")
    (folder / "net_test.cc").write_text(MAIN)
    assert generated.run_test(folder, "net") == process.Outcome("", 0)


def test_names_of_inputs_meet_no_others(tmp_path):
    names = ("loss", "scores", "label", "classes", "inputs", "bytes", "saved_bytes", "arena")
    for at, name in enumerate(names):
        folder = tmp_path / name
        data = networks.dense_chain((name, f"{name}_in", "train"))
        loss = LOSSES[at % 2]
        generate_training(data, folder, target="host", name="net", loss=loss, test_steps=1)
        for file in ("net.cc", "net_test.cc"):
            command = ["g++", *generated.WARNINGS, "-fsyntax-only", f"-I{folder}", folder / file]
            process.compile_or_raise(command)


def test_infer_keeps_nothing_that_only_training_needs(tmp_path):
    generate_training(
        networks.dense_chain(), tmp_path / "net", target="host", name="net", trainable={"y": 0.5}
    )
    text = (tmp_path / "net" / "net.cc").read_text()
    assert text.count("if (trains) KeepChannels(") == 1 and text.count("KeepChannels(") == 1
