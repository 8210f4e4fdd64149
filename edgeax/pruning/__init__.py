"""Pruning with data: what to prune, chosen from samples, gradients or curvature; channels that go."""
