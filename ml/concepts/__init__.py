"""Concepts: what each channel of a network's convolutions listens to, shown by the clips that most use it.

Relevance maximisation (RelMax; Achtibat et al., *From attribution maps to human-understandable explanations
through Concept Relevance Propagation*, Nature Machine Intelligence 5, 2023): of a set of clips the references
of a channel `k` are those with the largest

``max_p sum_c R_k(p | c)``,

where `R_k(p | c)` is the relevance that channel `k` has at position `p` of its layer in the explanation of an
instrument `c` that plays in the clip. Not activation: what a channel is used for counts, not what excites it.
The position is the moment; at most one of each clip counts.

The clips are synthesised from a recipe (`ml.concepts.recipe`), so what is played at each moment is known, and
what a channel's references have in common is measured (`ml.concepts.moments`, `ml.concepts.naming`) instead
of guessed from pictures. `ml.concepts.build` makes the atlas of a model, `ml.concepts.atlas` is what it
holds, and `ml.concepts.rendering` makes sound and pictures of its references.
"""
