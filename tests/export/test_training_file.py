import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import edgeax
from edgeax.formats import training_signature
from edgeax.formats.flatbuffer import Model
from tests.export import training_networks as networks

STEPS = 20
RATE = 0.05


def export(model, path, samples=None, runtime="edgeax", **training):
    training = {"batch_size": networks.BATCH, **training}
    train = edgeax.OnDeviceTraining(**training)
    return edgeax.export(model, path, samples, train=train, runtime=runtime, measure=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file of which all is trained, normalization too, its receipt and its model."""
    path = tmp_path_factory.mktemp("whole") / "model.tflite"
    model = networks.branching()
    optimizer = keras.optimizers.SGD(RATE)
    receipt = export(model, path, optimizer=optimizer, batch_norm="live")
    return path, receipt, model


@pytest.fixture(scope="module")
def curve():
    """Batches, and what Keras makes of them: the losses and the trained model."""
    images, labels = networks.batches(STEPS)
    model = networks.branching()
    losses = networks.keras_losses(model, keras.optimizers.SGD(RATE), images, labels)
    return images, labels, losses, model


def names_of(model):
    return {
        f"{layer.name}/{variable.name}": variable
        for layer in model.layers
        for variable in layer.variables
    }


@pytest.mark.parametrize("module", networks.HOSTS)
def test_losses_and_weights_are_those_of_keras(module, whole, curve, tmp_path):
    path, _, untrained = whole
    images, labels, losses, trained = curve
    python = networks.HOSTS[module]
    if not python.exists():
        pytest.skip("Missing: the environment build/tflite_runtime. Run: make test")
    found = networks.run_steps(python, module, path, images, labels, RATE, tmp_path)
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-5)
    assert losses[-5:].mean() < 0.6 * losses[:5].mean()  # it learns at all
    fresh = untrained(images[0][:1], training=False)
    np.testing.assert_allclose(found["infer"], fresh, rtol=1e-5, atol=1e-6)
    for name, variable in names_of(trained).items():
        np.testing.assert_allclose(found[name], variable, rtol=1e-4, atol=1e-6, err_msg=name)
    assert found["optimizer/iteration"] == STEPS


def test_the_metadata_names_what_is_there(whole):
    path, receipt, _ = whole
    signature = training_signature.read(Model.read(path))
    assert signature.inputs == ("image",)
    assert signature.outputs == ("output_0",)
    assert signature.signatures["train"].inputs == ("image", "y", "learning_rate")
    assert signature.signatures["train"].outputs == ("loss", "output_0")
    assert signature.signatures["save"].outputs == tuple(v.name for v in signature.variables)
    trained = [variable.name for variable in signature.variables if variable.trained]
    assert signature.signatures["gradients"].outputs == ("loss", *trained)
    assert trained[0] == "first/kernel"
    assert {"norm/gamma", "norm/beta"} < {*trained}
    others = [variable.name for variable in signature.variables if not variable.trained]
    assert others == ["norm/moving_mean", "norm/moving_variance", "optimizer/iteration"]
    assert (signature.batch_size, signature.infer_batch_size, signature.classes) == (4, 1, 3)
    assert (signature.loss, signature.optimizer["class"]) == ("cross_entropy", "SGD")
    assert signature.learning_rate == pytest.approx(RATE)
    assert signature.state_bytes == receipt.training.state_bytes
    cost = edgeax.cost.training_cost(networks.branching(), batch_size=4, slots=0)
    joules = {phase: 1e-12 * part.energy_pj for phase, part in cost.phases.items()}
    assert signature.energy == pytest.approx(joules)


def test_the_main_graph_is_infer_and_needs_no_signature(whole):
    path, _, model = whole
    images = networks.batches(1)[0][0]
    outputs = edgeax.Interpreter(path).run(images)
    np.testing.assert_allclose(outputs, model(images, training=False), rtol=1e-5, atol=1e-6)


def test_the_receipt_says_what_is_trained_and_what_that_takes(whole):
    _, receipt, model = whole
    text = str(receipt)
    assert "trains first, norm, depthwise, second, last" in text
    assert "a step: SGD, cross_entropy, batch 4" in text
    count = sum(int(np.prod(variable.shape)) for variable in model.variables)
    assert f"state: {4 * count + 8:,} bytes" in text  # float32, and int64 of the step
    assert "1 Conv2DBackpropFilter" not in text
    assert receipt.training.gradient_operators["Conv2DBackpropFilter"] == 2
    assert receipt.needs_plugin
    assert receipt.parity.most_output_difference < 1e-5


def test_what_was_saved_is_restored_in_another_process_too(whole, curve):
    path, _, _ = whole
    images, labels, _, _ = curve
    first, second = networks.interpreter(path), networks.interpreter(path)
    step = {"image": images[0], "y": labels[0], "learning_rate": np.float32([RATE])}
    train = first.get_signature_runner("train")
    untrained = first.get_signature_runner("save")()
    train(**step)
    saved = {name: np.copy(value) for name, value in first.get_signature_runner("save")().items()}
    assert any(np.any(saved[name] != untrained[name]) for name in saved)
    expected = train(**step)["loss"]
    assert second.get_signature_runner("restore")(**saved) == {"restored": 1}
    assert second.get_signature_runner("train")(**step)["loss"] == expected
    assert second.get_signature_runner("reset")() == {"reset": 1}
    again = second.get_signature_runner("save")()
    assert all(np.array_equal(again[name], untrained[name]) for name in untrained)


def test_gradients_are_those_of_tensorflow_and_change_nothing(whole, curve):
    path, _, _ = whole
    images, labels, _, _ = curve
    model = networks.branching()
    before = names_of(model)
    with tf.GradientTape() as tape:
        outputs = model(images[0], training=True)
        losses = keras.losses.sparse_categorical_crossentropy(labels[0], outputs)
        loss = tf.reduce_mean(losses)
    trained = {name: one for name, one in before.items() if one.trainable}
    wanted = dict(
        zip(trained, tape.gradient(loss, [v.value for v in trained.values()]), strict=True)
    )
    interpreter = networks.interpreter(path)
    found = interpreter.get_signature_runner("gradients")(image=images[0], y=labels[0])
    assert found.pop("loss") == pytest.approx(float(loss), rel=1e-5)
    assert set(found) == set(wanted)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)
    state, fresh = interpreter.get_signature_runner("save")(), names_of(networks.branching())
    assert state.pop("optimizer/iteration") == 0
    assert all(np.array_equal(state[name], fresh[name]) for name in state)


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True, weight_decay=0.1),
    "clipped": lambda: keras.optimizers.SGD(0.05, global_clipnorm=0.1),
    "adam": lambda: keras.optimizers.Adam(0.003),
    "sign_sgd": lambda: edgeax.optimizers.SignSGD(0.001, weight_decay=0.01),
    "signum": lambda: edgeax.optimizers.Signum(0.001),
    "predictive": lambda: edgeax.optimizers.PredictiveSignSGD(0.001),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_does_on_the_device_what_it_does_in_keras(name, tmp_path):
    path = tmp_path / "model.tflite"
    make, model = OPTIMIZERS[name], networks.convolutional()
    receipt = export(model, path, optimizer=make(), trainable=1, runtime="stock")
    assert receipt.training.layers == ("last",)
    images, labels = networks.batches(8)
    model.get_layer("first").trainable = model.get_layer("second").trainable = False
    losses = networks.keras_losses(model, make(), images, labels)
    interpreter = edgeax.Interpreter(path)
    train = interpreter.get_signature_runner("train")
    rate = np.float32([make().learning_rate])
    found = [
        train(x=x, y=y, learning_rate=rate)["loss"] for x, y in zip(images, labels, strict=True)
    ]
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    state = interpreter.get_signature_runner("save")()
    last = model.get_layer("last")
    np.testing.assert_allclose(state["last/kernel"], last.kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state["last/bias"], last.bias, rtol=1e-5, atol=1e-6)


def test_layers_in_front_stay_packed_in_int8_and_what_is_trained_is_float(tmp_path):
    path = tmp_path / "model.tflite"
    recipe = edgeax.at_once("static_wc4_ai8")
    small = edgeax.compress(networks.convolutional(width=32), recipe)
    images, labels = networks.batches(12)
    samples = images.reshape(-1, 10, 10, 1)
    small(samples, training=True)
    receipt = export(small, path, samples, optimizer=keras.optimizers.SGD(0.1), trainable=["last"])
    assert [kernel.how for kernel in receipt.kernels] == ["packed", "packed"]
    graphs = Model.read(path).subgraphs[:3]
    for graph in graphs:  # infer, train, gradients
        assert "EdgeaxConv2D" in [operator.name for operator in graph.operators]
    rows = [graph.tensors[graph.inputs[0]].shape[0] for graph in graphs]
    assert rows == [1, networks.BATCH, networks.BATCH]
    assert receipt.parity.argmax_agreement > 0.9
    train = networks.interpreter(path).get_signature_runner("train")
    step = {"x": images[0], "y": labels[0], "learning_rate": np.float32([0.5])}
    losses = [train(**step)["loss"] for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]


def test_a_mean_square_has_targets_of_the_outputs_shape(tmp_path):
    path = tmp_path / "model.tflite"
    model = networks.convolutional()
    optimizer = keras.optimizers.SGD(0.1)
    export(model, path, optimizer=optimizer, trainable=1, loss="mean_square", infer_batch_size=2)
    interpreter = edgeax.Interpreter(path)
    images, _ = networks.batches(1)
    targets = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    found = interpreter.get_signature_runner("train")(
        x=images[0], y=targets, learning_rate=np.float32([0.1])
    )
    outputs = model(images[0]).numpy()
    assert found["loss"] == pytest.approx(np.mean((outputs - targets) ** 2), rel=1e-5)
    np.testing.assert_allclose(found["output_0"], outputs, rtol=1e-5, atol=1e-6)
    signature = training_signature.read(Model.read(path))
    assert (signature.classes, signature.infer_batch_size) == (None, 2)
    assert signature.energy["input_gradient"] == 0.0  # of the last layer, the only one
    assert signature.energy["weight_gradient"] > 0.0
    assert interpreter.get_signature_runner("infer")(x=images[0][:2])["output_0"].shape == (2, 3)


def test_other_constants_make_another_model_and_other_variables_do_not(tmp_path):
    def identity(model):
        path = tmp_path / "model.tflite"
        export(model, path, trainable=1)
        return training_signature.read(Model.read(path)).model_id

    model = networks.convolutional()
    first = identity(model)
    model.get_layer("last").kernel.assign(model.get_layer("last").kernel * 2.0)
    assert identity(model) == first
    model.get_layer("first").kernel.assign(model.get_layer("first").kernel * 2.0)
    assert identity(model) != first


def test_equal_constants_of_the_graphs_are_stored_once(whole):
    path, receipt, _ = whole
    file = Model.read(path)
    contents = [tensor.content for graph in file.subgraphs for tensor in graph.tensors]
    large = [content for content in contents if len(content) >= 64]
    assert len(large) > len({*large})
    assert file.weight_bytes() < 3 * receipt.training.state_bytes


def test_a_layer_whose_gradient_nobody_has_is_refused_by_its_name(tmp_path):
    given = keras.Input((4, 4, 4, 1))
    x = layers.Conv3D(2, 2, name="solid")(given)
    model = keras.Model(given, layers.Dense(2, name="last")(layers.Flatten()(x)))
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match=r"'solid', which needs Conv3DBackprop.*Train only layers"):
        export(model, path)
    assert not path.exists()


def test_a_stock_file_is_refused_where_gradients_need_the_plugin(tmp_path):
    with pytest.raises(ValueError, match=r"'stock'.*Conv2DBackpropFilter.*runtime='edgeax'"):
        export(networks.convolutional(), tmp_path / "model.tflite", runtime="stock")


def test_the_file_says_which_plugin_its_operators_need(whole):
    path, _, _ = whole
    note = json.loads(Model.read(path).metadata["edgeax"])
    assert note["plugin"] == "libedgeax"
    assert "MaxPoolGrad" in note["operators"]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"train": "sgd"}, "`train` must be an edgeax.OnDeviceTraining"),
        ({"runtime": "tflm"}, "`train` can be given only with runtime='edgeax' or 'stock'"),
        ({"io": "int8"}, "`train` can be given only with io='float32'"),
    ],
)
def test_arguments_that_do_not_go_with_training_are_refused(options, said, tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match=said):
        edgeax.export(
            networks.convolutional(), path, **{"train": edgeax.OnDeviceTraining(), **options}
        )
    assert not path.exists()


def test_samples_may_be_missing_with_training_alone(tmp_path):
    with pytest.raises(ValueError, match="`samples` must be typical inputs"):
        edgeax.export(networks.convolutional(), tmp_path / "model.tflite")


@pytest.mark.parametrize("module", networks.HOSTS)
def test_a_step_leaves_out_the_blocks_that_it_is_told_to(module, selective, tmp_path):
    path, receipt = selective
    python = networks.HOSTS[module]
    if not python.exists():
        pytest.skip("Missing: the environment build/tflite_runtime. Run: make test")
    images, labels = networks.batches(3)
    found = networks.run_steps(
        python, module, path, images, labels, 0.1, tmp_path, keep=np.float32([0, 1])
    )
    fresh = names_of(networks.selective())
    kept = {name for name in found if name.startswith(("selective_0", "optimizer/selective_0"))}
    assert len(kept) == 4
    for name in sorted(kept):
        wanted = fresh["selective_0/kernel" if "kernel" in name else "selective_0/bias"]
        wanted = np.zeros(wanted.shape) if name.startswith("optimizer") else wanted
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)
    assert np.any(found["selective_1/kernel"] != fresh["selective_1/kernel"])
    assert receipt.training.gradient_operators["Conv2DBackpropFilter"] == 3


@pytest.fixture(scope="module")
def selective(tmp_path_factory):
    path = tmp_path_factory.mktemp("selective") / "model.tflite"
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    return path, export(networks.selective(), path, optimizer=optimizer, keep=True)


def test_the_metadata_names_the_blocks(selective):
    path, _ = selective
    signature = training_signature.read(Model.read(path))
    assert signature.blocks == ("selective_0", "selective_1")
    assert signature.signatures["train"].inputs == ("image", "y", "keep", "learning_rate")
    assert signature.signatures["gradients"].inputs == ("image", "y", "keep")
