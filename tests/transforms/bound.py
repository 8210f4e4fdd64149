"""Chains of one transform, and what they give."""

import tensorflow as tf

from edgeax.transforms import Chain


def weight_chain(transform, weight):
    """Returns the chain of a transform, bound to `weight` and initialized from it."""
    chain = Chain([transform])
    chain.bind("weight", weight.shape)
    chain.initialize(tf.constant(weight))
    return chain


def activation_chain(transform, *batches):
    """Returns the chain of a transform of an activation, trained on some batches."""
    chain = Chain([transform])
    chain.bind("activation", ())
    for batch in batches:
        chain.call(tf.constant(batch), training=True)
    return chain


def value_and_gradients(chain, tensor, upstream, variables=(), training=False):
    """Returns the value of a chain, the gradient of `tensor`, and those of some variables."""
    tensor = tf.constant(tensor)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = chain.call(tensor, training=training)
    sources = [tensor, *(variable.value for variable in variables)]
    gradients = tape.gradient(value, sources, tf.constant(upstream))
    return value.numpy(), *(gradient.numpy() for gradient in gradients)
