"""Trains the scorer of the extractive predictor on what `query_study DATA dump FILE` wrote, all of it free to train on:
`python train.py FILE [OUT.rs]` prints how five-fold held-out passages fare, by source, and writes the trees.
Needs numpy and scikit-learn."""
import sys
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

FEATURES, TREES, LEAVES, RATE = 34, 60, 8, 0.15

rows = np.fromfile(sys.argv[1], dtype=np.dtype([("passage", "<u4"), ("fold", "u1"), ("source", "u1"), ("hit", "u1"), ("segment", "u1"), ("x", "u1", FEATURES)]))
x = rows["x"].astype(np.float32)
exact, head = (rows["hit"] & 1).astype(float), (rows["hit"] >> 1 & 1).astype(float)
y = 0.6 * exact + 0.4 * head
# Each passage weighs the same within its source, each source the square root of its passages.
_, inverse, size = np.unique(rows["passage"], return_inverse=True, return_counts=True)
passages = np.array([len(np.unique(rows["passage"][rows["source"] == s])) for s in range(rows["source"].max() + 1)])
weight = 1.0 / size[inverse] / np.sqrt(passages[rows["source"]])
weight /= weight.mean()


def fit(mask):
    model = HistGradientBoostingRegressor(max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=RATE, min_samples_leaf=400,
                                          l2_regularization=1.0, early_stopping=False, random_state=0)
    return model.fit(x[mask], y[mask], sample_weight=weight[mask])


def best_of(score, mask):
    """Share of passages whose best phrase is a keyword, has the head word of one, by source."""
    order = np.lexsort((-score, rows["passage"][mask]))
    first = np.unique(rows["passage"][mask][order], return_index=True)[1]
    at = np.flatnonzero(mask)[order][first]
    return [(exact[at][rows["source"][at] == s].mean(), head[at][rows["source"][at] == s].mean()) for s in range(len(passages))]


held = [best_of(fit(rows["fold"] != k).predict(x[rows["fold"] == k]), rows["fold"] == k) for k in range(5)]
for s, mean in enumerate(np.mean(held, axis=0)):
    print(f"source {s} ({passages[s]} passages): best phrase is a keyword {mean[0]:.3f}, has its head word {mean[1]:.3f}")

if len(sys.argv) > 2:
    model = fit(np.ones(len(rows), bool))
    lines = []
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        cells = []
        for n in nodes:
            if n["is_leaf"]:
                cells.append(f"leaf({round(float(n['value']) * 1e5)})")
            else:
                cells.append(f"node({n['feature_idx']}, {int(np.floor(n['num_threshold']))}, {n['left']}, {n['right']})")
        cells += ["leaf(0)"] * (2 * LEAVES - 1 - len(cells))
        lines.append("    [" + ", ".join(cells) + "],")
    with open(sys.argv[2], "w") as out:
        out.write(f"//! Written by benches/queries/train.py.\n\nuse super::tree::{{Node, leaf, node}};\n\n")
        out.write(f"#[rustfmt::skip]\npub(super) const TREES: [[Node; {2 * LEAVES - 1}]; {len(lines)}] = [\n" + "\n".join(lines) + "\n];\n")
