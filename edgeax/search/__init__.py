"""What a model bears: sensitivity of its layers, robustness of the whole."""
