"""Learner: the model on the device, what it is taught, and how it is doing. Needs no TensorFlow."""

import copy
import json
import pathlib
import resource
import string
import threading
from collections import deque

import drawings
import numpy as np

from edgeax.formats.files import write_atomically
from edgeax.formats.rehearsal import RehearsalBuffer
from edgeax.runtime import Trainer

MEMORY_BYTES = 200_000
COPIES = 8  # of a drawing that is taught, each a little different
EPOCHS = 6
LESSONS_BACK = 10  # that can be undone
LONGEST_NAME = 24
_CHECKPOINT, _SAMPLES, _NOTES = "learned.ckpt", "samples.npz", "notes.json"
_IN_NAMES = string.ascii_letters + string.digits + " _-+"


class Learner:
    """A drawing board that learns.

    Args:
        folder: What `prepare.write` wrote; what is learned is kept there too.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._lock = threading.RLock()
        self._draw = np.random.default_rng(0)
        with np.load(self.folder / "base.npz") as base:
            self._base = base["images"], base["labels"], [str(name) for name in base["names"]]
        self.trainer = Trainer(self.folder / "model.tflite")
        self.most_classes = self.trainer.signature.classes
        self._begin()
        if (self.folder / _CHECKPOINT).exists():
            self._take_up()

    def _begin(self):
        images, labels, names = self._base
        self.names = [*names]
        self.trainer.rehearsal = RehearsalBuffer(
            MEMORY_BYTES, images.shape[1:], self.most_classes, bits=4
        )
        self.trainer.rehearsal.add(images / 255, labels)
        self.lessons = []  # one dict for each drawing that was taught
        self._former = deque(maxlen=LESSONS_BACK)

    def _take_up(self):
        self.trainer.restore(self.folder / _CHECKPOINT)
        self.trainer.rehearsal = RehearsalBuffer.load(self.folder / _SAMPLES)
        notes = json.loads((self.folder / _NOTES).read_text())
        self.names, self.lessons = notes["names"], notes["lessons"]

    def _keep(self):
        self.trainer.rehearsal.save(self.folder / _SAMPLES)
        notes = {"names": self.names, "lessons": self.lessons}
        write_atomically(self.folder / _NOTES, json.dumps(notes).encode())
        self.trainer.save(self.folder / _CHECKPOINT)

    def predict(self, image):
        """Returns the share of each class that has a name, by name, the likeliest first.

        Args:
            image: float32 (28, 28, 1) in 0..1.
        """
        with self._lock:
            logits = self.trainer.predict(image[None])[0, : len(self.names)].astype(float)
            shares = np.exp(logits - logits.max())
            shares /= shares.sum()
            order = np.argsort(-shares)
            return {self.names[place]: float(shares[place]) for place in order}

    def teach(self, image, name):
        """Learns what a drawing shows; a name that is new becomes a class.

        Raises:
            ValueError: The name cannot be one, or all classes are taken.
        """
        with self._lock:
            name = checked_name(name)
            if name not in self.names and len(self.names) == self.most_classes:
                raise ValueError(
                    f"There are {self.most_classes} classes at most. Teach one of {self.names}, or "
                    "reset."
                )
            expected = next(iter(self.predict(image)))
            self._former.append(
                (
                    self.trainer.state(),
                    copy.deepcopy(self.trainer.rehearsal),
                    [*self.names],
                    [*self.lessons],
                )
            )
            if name not in self.names:
                self.names.append(name)
            drawn = np.concatenate([image[None], drawings.varied(image, COPIES - 1, self._draw)])
            labels = np.full(COPIES, self.names.index(name))
            history = self.trainer.fit(drawn, labels, epochs=EPOCHS, rehearse=0.75)
            self.lessons.append(
                {
                    "name": name,
                    "right": expected == name,
                    "loss": history["loss"][-1],
                    "steps": sum(history["steps_run"]),
                    "energy_j": sum(history["energy_j"]),
                    "step_ms": self.trainer.step_ms,
                }
            )
            self._keep()
            return self.status()

    def undo(self):
        """Forgets the last lesson.

        Raises:
            ValueError: There is none that can be undone.
        """
        with self._lock:
            if not self._former:
                raise ValueError("There is no lesson that can be undone.")
            state, self.trainer.rehearsal, self.names, self.lessons = self._former.pop()
            self.trainer.set_state(state)
            self._keep()
            return self.status()

    def reset(self):
        """Forgets all lessons."""
        with self._lock:
            self.trainer.reset()
            self._begin()
            self._keep()
            return self.status()

    def model(self):
        """Returns the bytes of a plain `.tflite` file of what has been learned."""
        with self._lock:
            path = self.folder / "learned.tflite"
            self.trainer.export(path)
            return path.read_bytes()

    def status(self):
        """Returns what the page shows, as JSON holds it."""
        with self._lock:
            right = [lesson["right"] for lesson in self.lessons]
            curve = [float(np.mean(right[max(0, i - 9) : i + 1])) for i in range(len(right))]
            return {
                "names": self.names,
                "most_classes": self.most_classes,
                "lessons": len(self.lessons),
                "undo": len(self._former),
                "accuracy": float(np.mean(right[-20:])) if right else None,
                "curve": curve[-60:],
                "loss": [lesson["loss"] for lesson in self.lessons][-60:],
                "energy_mj": 1e3 * sum(lesson["energy_j"] for lesson in self.lessons),
                "step_ms": self.trainer.step_ms,
                "samples": len(self.trainer.rehearsal),
                "memory": {
                    **self.trainer.memory,
                    "process_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                },
            }


def checked_name(name):
    """Returns the name of a class without spaces at its ends.

    Raises:
        ValueError: It cannot be one.
    """
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not 1 <= len(text) <= LONGEST_NAME or not set(text) <= set(_IN_NAMES):
        raise ValueError(
            f"A name has 1 to {LONGEST_NAME} letters, digits, spaces or signs of '_-+'. "
            f"Received: {name!r:.60}."
        )
    return text
