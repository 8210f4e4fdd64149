"""What padding SAME adds to an axis, in Keras and TFLite alike."""


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Returns how many positions are added before and behind an axis.

    Args:
        size: Positions of the axis.
        kernel: Taps of the window.
        stride: Positions between two outputs.
        dilation: Positions between two taps.
    """
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2
