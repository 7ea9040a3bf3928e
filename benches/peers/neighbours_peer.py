"""All-pairs nearest neighbours by faiss, as many lists and probes as longweave has: `neighbours_peer.py FILE K THREADS PASSES [exact]`."""
import json
import sys
import time

import faiss
import numpy

k, threads, passes = (int(a) for a in sys.argv[2:5])
faiss.omp_set_num_threads(threads)
vectors = numpy.load(sys.argv[1])
vectors /= numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
rows, dims = vectors.shape
seconds = []
for _ in range(passes):
    start = time.perf_counter()
    if len(sys.argv) > 5:
        index = faiss.IndexFlatIP(dims)
    else:
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dims), dims, round(4 * rows**0.5), faiss.METRIC_INNER_PRODUCT)
        index.nprobe = 32
        index.cp.min_points_per_centroid = 1
        index.cp.max_points_per_centroid = 64
        index.train(vectors)
    index.add(vectors)
    _, found = index.search(vectors, k + 1)
    seconds.append(time.perf_counter() - start)
sample = numpy.random.default_rng(0).choice(rows, 500, replace=False)
exact = faiss.IndexFlatIP(dims)
exact.add(vectors)
_, wanted = exact.search(vectors[sample], k + 1)
hits = sum(len((set(a) - {i}) & (set(b) - {i})) for i, a, b in zip(sample, found[sample], wanted))
print(json.dumps({"seconds": seconds, "rows": rows, "recall": hits / (len(sample) * k)}))
