"""Figures of what `run.py` measured, from benches/results.json into benches/plots/*.svg: `python3 benches/plots.py`."""
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
# The same bytes from the same figures.
matplotlib.rcParams.update({"svg.hashsalt": "longweave", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as pyplot

HERE = Path(__file__).resolve().parent
COLOURS = matplotlib.colormaps["tab20"].colors


def save(figure, name):
    (HERE / "plots").mkdir(exist_ok=True)
    figure.savefig(HERE / "plots" / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def stages(scale):
    """Seconds of each stage of the largest corpus, of both builds."""
    largest = scale["sizes"][-1]
    figure, axes = pyplot.subplots(figsize=(7, 2.2))
    names = sorted({stage for build in largest["quest"].values() for stage in build["stages"]}, key=lambda name: -largest["quest"]["then"]["stages"].get(name, 0))
    for row, (build, label) in enumerate((("then", scale["commit"]), ("now", "now"))):
        left = 0.0
        for number, name in enumerate(names):
            seconds = largest["quest"][build]["stages"].get(name, 0)
            axes.barh(label, seconds, left=left, color=COLOURS[number % 20], label=name if row == 0 else None)
            left += seconds
    axes.set_xlabel(f"seconds: quest over {largest['tokens'] / 1e6:,.0f} M tokens, {scale['threads']} threads")
    axes.legend(ncols=1, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save(figure, "stages")


def growth(scale):
    """Seconds by tokens of the corpus, of both methods and builds."""
    figure, axes = pyplot.subplots(figsize=(5, 3))
    tokens = [size["tokens"] for size in scale["sizes"]]
    for number, method in enumerate(("quest", "knn")):
        for build, style, label in (("now", "-", "now"), ("then", "--", scale["commit"])):
            axes.plot(tokens, [size[method][build]["seconds"] for size in scale["sizes"]], style, marker="o", color=COLOURS[2 * number], label=f"{method}, {label}")
    axes.set(xscale="log", yscale="log", xlabel="tokens of the corpus", ylabel="seconds")
    axes.legend(frameon=False)
    save(figure, "growth")


def threads(cores):
    """How many times as fast as on one core a run can be, by cores."""
    figure, axes = pyplot.subplots(figsize=(5, 3))
    for number, (method, bounds) in enumerate(cores["bounds"].items()):
        axes.plot([int(n) for n in bounds], list(bounds.values()), marker="o", color=COLOURS[2 * number], label=method)
    counts = [int(n) for n in bounds]
    axes.plot(counts, counts, ":", color="grey", label="all of it at once")
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="times as fast as on one, at most", xticks=counts, xticklabels=counts)
    axes.minorticks_off()
    axes.legend(frameon=False)
    save(figure, "cores")


def peers(results):
    """How many times as fast as its peers longweave is."""
    ratios = {f"{bench}: {name}": ratio for bench, result in results.items() for name, ratio in result.get("peers", {}).items()}
    if not ratios:
        return
    figure, axes = pyplot.subplots(figsize=(6, 0.25 * len(ratios) + 0.8))
    axes.barh(list(ratios), list(ratios.values()), color=COLOURS[0])
    axes.axvline(1, color="grey", linewidth=1)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="times as fast as the peer")
    for row, ratio in enumerate(ratios.values()):
        axes.text(ratio, row, f" {ratio:.1f}", va="center", fontsize=7)
    save(figure, "peers")


def main():
    results = json.loads((HERE / "results.json").read_text())
    if "scale" in results:
        stages(results["scale"])
        growth(results["scale"])
    if "cores" in results:
        threads(results["cores"])
    peers(results)


if __name__ == "__main__":
    main()
