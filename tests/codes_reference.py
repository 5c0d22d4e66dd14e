"""What others' programs say of the codes of the shipped network: the values that tests/codes.c
compares with. Makes tests/codes_reference.h anew (20 minutes on one core):

    make build/tests/codes && build/tests/codes --write build/codes.f32
    /usr/bin/python3 tests/codes_reference.py build/codes.f32 >tests/codes_reference.h

Needs Debian's python3-sklearn and umap-learn."""
import sys
import textwrap
import warnings

import numpy as np
import sklearn
import umap
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, _t_sne, trustworthiness
from umap.umap_ import fuzzy_simplicial_set

warnings.simplefilter("ignore")
PICTURES, SEEDS = 2000, (0, 1, 2)
x = np.fromfile(sys.argv[1], "<f4").reshape(PICTURES, -1)
distance = squareform(pdist(x.astype(np.float64)))


def define(name, values, comment):
    values = np.atleast_1d(values)
    print("/* %s */\nstatic const double reference_%s[%d] = {" % (comment, name, len(values)))
    print(textwrap.fill(", ".join("%.9g" % v for v in values), 96, initial_indent="    ",
                        subsequent_indent="    ") + "};")


def plane():
    """A layout that is no method's: the codes along two fixed directions."""
    k = np.arange(x.shape[1])
    return 0.05 * x.astype(np.float64) @ np.stack([np.cos(k), np.sin(k)], axis=1)


def tsne_at(layout):
    """C of a layout, and the length of its slope."""
    p = _t_sne._joint_probabilities((distance**2).astype(np.float32), 30, 0)
    c, slope = _t_sne._kl_divergence(layout.ravel(), p, 1, PICTURES, 2)
    return c, np.linalg.norm(slope)


def tsne(seed):
    """C and trustworthiness(5) of a run of exact t-SNE from random positions."""
    t = TSNE(perplexity=30, init="random", learning_rate="auto", n_iter=1000, method="exact",
             random_state=seed)
    y = t.fit_transform(x)
    return t.kl_divergence_, trustworthiness(x, y, n_neighbors=5)


def graph():
    """Edges of UMAP's graph, counted both ways, the sum of their weights, and of the squares."""
    order = np.argsort(distance, axis=1, kind="stable")[:, :15]
    near = np.take_along_axis(distance, order, axis=1).astype(np.float32)
    w = fuzzy_simplicial_set(x, 15, np.random.RandomState(0), "euclidean", knn_indices=order,
                             knn_dists=near)[0]
    return w.nnz, w.sum(), (w.data.astype(np.float64)**2).sum()


def umap_trust(seed):
    y = umap.UMAP(n_neighbors=15, min_dist=0.1, random_state=seed).fit_transform(x)
    return trustworthiness(x, y, n_neighbors=5)


print("/* Made by codes_reference.py with scikit-learn %s and umap-learn %s, from the codes of the"
      "\n   first %d held-out scenes at relu5 of examples/data/toynet.safetensors. */"
      % (sklearn.__version__, umap.__version__, PICTURES))
define("variance", PCA(12).fit(x.astype(np.float64)).explained_variance_,
       "PCA: variance along the first 12 components")
define("plane_trust", trustworthiness(x, plane(), n_neighbors=5),
       "trustworthiness(5) of the codes along .05 cos k and .05 sin k")
define("plane_tsne", tsne_at(plane()), "t-SNE's C of the same layout, and the length of its slope")
runs = [tsne(seed) for seed in SEEDS]
define("tsne_c", [run[0] for run in runs], "C of exact t-SNE, three seeds")
define("tsne_trust", [run[1] for run in runs], "trustworthiness(5) of the same runs")
define("umap_graph", graph(),
       "UMAP's graph: edges (both ways), the sum of their weights, the sum of the squares")
define("umap_trust", [umap_trust(seed) for seed in SEEDS],
       "trustworthiness(5) of UMAP, three seeds")
