"""Every term that reports, tables and figures print, in a sentence: the source of docs/glossary.md and of the pages."""

GLOSSARY = {
    "Activation": "the numbers that a layer of a network gives for one text; todacomm treats them as one point.",
    "Adjusted p-value": "a p-value made larger to account for how many layers (or pairs) were tested at once.",
    "Bar": (
        "a feature of the cloud that appears at one distance (birth) and goes at a larger one (death); its "
        "lifetime is the difference."
    ),
    "Baseline": "the layer that others are divided by: the embedding, or the first reliable layer.",
    "Betti number": "how many clusters (β0), loops (β1) or voids (β2) there are at one distance.",
    "Birth, death": (
        "the distances at which a feature appears and disappears when points closer than that distance are joined."
    ),
    "Bits per byte": (
        "how many bits the model needs for one byte of the texts: lower is better, whatever the tokenizer."
    ),
    "Bottleneck distance": "how far apart two diagrams are: the largest move of a bar in the best matching.",
    "Centroid": "the mean of points that lie together; it has less noise than each, so that it shows smaller loops.",
    "CKA": "centred kernel alignment, from 0 to 1: whether two layers put the same texts near one another.",
    "Confidence interval": (
        "a range that holds the value for all texts of this kind in 95 of 100 studies like this one."
    ),
    "Death / birth": "how prominent a bar is whatever the unit: multiplicative persistence.",
    "Doubtful (○)": (
        "fewer than half of the points are distinct, one of more than five dimensions holds more than half of"
        " the variance and 1.4 times that of the next, or landmarks leave even bars as long as the scale "
        "open: the number is given, nothing is concluded from it."
    ),
    "Duplicates": "points closer than a millionth of the median distance, or than rounding; they count as one.",
    "Embedding": "the layer before the first block: what the tokens are before the network has worked on them.",
    "Entropy": (
        "persistence entropy in nats: high where the bars of a diagram have similar lengths, 0 where one has "
        "all the length."
    ),
    "Expansion": (
        "the largest H0 total of the blocks over the H0 total of the baseline, both before any division by a "
        "distance; it is scale growth × shape growth, exactly (defined in the ToDACoMM article and its "
        "package todacomm 0.1.0)."
    ),
    "Family-wise p-value": "the chance, without any effect, of one such result or more among all layers tested.",
    "Field of coefficients": (
        "the numbers in which cycles are counted: Z/2 (0 and 1) unless something else is said. Over Z/3 a bar of H1 may"
        " be another, where a cycle is filled only when it is run through several times."
    ),
    "Final": "the output of the last norm, after the last block.",
    "Gaussian null": (
        "clouds with the same mean and covariance as the layer and no other structure; a number is tested against them."
    ),
    "Generator": "the edges and triangles that make a bar.",
    "Group of points": "the connected component in which a loop lives when it dies.",
    "H0": "clusters: every point starts as one, and a bar ends where two clusters meet. A long bar is a wide gap.",
    "H1": (
        "loops: a bar lives from the distance at which a ring of points closes to the one at which it is "
        "filled. A curve that is open, with a gap narrower than the curve is wide, closes too: a C, a rolled-"
        "up sheet."
    ),
    "H2": "voids: one bar for each hollow space inside a shell of points.",
    "layer_i": "the output of block i, counted from 0.",
    "Lifetime": "death minus birth: how long a bar is.",
    "Loop": (
        "a bar of H1 that stands out of its layer and of its own group of points, tested against Gaussian and"
        " evenly filled clouds."
    ),
    "Maxmin landmarks": "points chosen so that no other point is far from one of them; they stand for all.",
    "Null model": (
        "what the number would be without the structure in question: Gaussian clouds, shuffled texts, "
        "untrained weights."
    ),
    "Over the scale": "a length divided by the scale: what is left is shape, which no change of size can move.",
    "P-value": "how often the null model gives a number at least as extreme as the one seen.",
    "Perplexity": "the number of words that a language model hesitates between, on average; lower is better.",
    "Persistence diagram": "all bars of one dimension, each as a point: birth across, death up.",
    "Persistent homology": "the clusters, loops and voids of a point cloud at every distance at once.",
    "Point cloud": (
        "a set of points: the activations of one layer, one point a text (or a token, or a row of an array)."
    ),
    "Pooling": (
        "how the tokens of a text become one point: their mean, the last one, the first one, or each by itself."
    ),
    "Profile": "the measurements of one model, layer by layer.",
    "Participation ratio": "in how many dimensions a cloud spreads: (Σ λ)² / Σ λ² of its variances λ.",
    "Prominence": "log(death / birth) of a bar over that of the upper tenth of the bars of its cloud.",
    "Scale": "the median distance between two points of a cloud; lengths are divided by it so that layers compare.",
    "Scale ratio": "the growth of the median distance from the baseline to a layer.",
    "Screen": (
        "an alarm for loops that needs no draws of a null model: above 1 in about 5 % of Gaussian clouds; no verdict."
    ),
    "Shape ratio": "the growth of H0 total persistence / median distance: what changes when size is taken out.",
    "Split-half resamples": (
        "random disjoint halves of the texts, on which every number is measured again for its interval."
    ),
    "Total persistence": (
        "the sum of all lifetimes. For H0 it is the length of the shortest tree that joins all points."
    ),
    "Undefined (×)": "fewer than three distinct points, or no scale: a ratio would say nothing.",
    "Variance kept": (
        "the share of the variance that is left after projection on the principal components; what is lost "
        "was not measured."
    ),
    "Vietoris–Rips filtration": "join points closer than a distance, fill every triangle, and let the distance grow.",
    "Wasserstein distance": "how far apart two diagrams are: the total move of all bars in the best matching.",
}
READ_FIRST = (
    "Point cloud",
    "Bar",
    "H0",
    "H1",
    "Total persistence",
    "Scale",
    "Over the scale",
    "Expansion",
    "Variance kept",
    "Doubtful (○)",
    "Undefined (×)",
    "Bits per byte",
)
