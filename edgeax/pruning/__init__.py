"""Pruning with data: weights chosen by samples, gradients or curvature; channels that go."""
