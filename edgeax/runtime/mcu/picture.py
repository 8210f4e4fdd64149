"""The plan of a program as a picture: time from left to right, addresses upwards."""

import io

from edgeax.runtime.mcu.plan import Buffer, Plan

_COLOURS = ("#4878a8", "#e49444", "#5ba053", "#b05a7a", "#857aab", "#a87c5a", "#3f9a94")
_SCRATCH = "#bbbbbb"


def png(plan: Plan, title: str) -> bytes | None:
    """Returns a PNG; the same plan gives the same bytes. None where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return None
    figure = Figure(figsize=(10, 6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for index, buffer in enumerate(plan.buffers.values()):
        colour = _COLOURS[index % len(_COLOURS)] if buffer.number >= 0 else _SCRATCH
        axes.bar(
            buffer.first,
            buffer.size_bytes,
            width=buffer.last - buffer.first + 1,
            bottom=buffer.offset,
            align="edge",
            color=colour,
            edgecolor="white",
            linewidth=0.5,
        )
        if _has_room(buffer, plan):
            middle = (buffer.first + buffer.last + 1) / 2, buffer.offset + buffer.size_bytes / 2
            axes.text(*middle, str(buffer.size_bytes), ha="center", va="center", fontsize=7)
    axes.set_xlim(0, max(len(plan.stages), 1))
    axes.set_ylim(0, max(plan.arena_bytes, 1))
    axes.set_xlabel("step")
    axes.set_ylabel("address in the arena")
    axes.set_title(f"{title}: {plan.arena_bytes:,} bytes, {plan.live_bytes:,} live at once")
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def _has_room(buffer: Buffer, plan: Plan) -> bool:
    steps = (buffer.last - buffer.first + 1) / max(len(plan.stages), 1)
    return steps * 10 > 0.3 and buffer.size_bytes * 25 > plan.arena_bytes
