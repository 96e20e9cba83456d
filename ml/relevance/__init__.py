"""Relevance maps: Layer-wise Relevance Propagation, split by concepts (Concept Relevance Propagation).

Relevance starts at what is to be explained (`target`): an instrument's logit, with the logit's own value, or
the difference of two. It is carried back to the log-mel layer by layer (Bach et al., *PLoS ONE* 10(7), 2015,
eqs. 56-60; Montavon et al., *LRP: an overview*, 2019):

* the linear head, a 1x1 convolution or a linear layer: LRP-epsilon, ``R_j = sum_k a_j w_jk / z_k * R_k``,
  which keeps the sign of each feature's contribution to the logit: evidence for and evidence against;
* pooling over time with held weights: the same without parameters;
* convolutions: the rules of the method that was chosen (`methods`, with their equations; each in computable
  form in `rules`). By default LRP-alpha2-beta1,
  ``R_j = sum_k (2 (a_j w_jk)^+ / z_k^+ - (a_j w_jk)^- / z_k^-) R_k``;
* ReLU passes relevance on, max pooling gives it to the winner, resizing passes it by its adjoint.

A *concept* is a channel of a convolution, by default of the last. Its map (Achtibat et al., *Nature Machine
Intelligence* 5, 2023) is what is left when all relevance but this channel's is set to zero there; below that
layer relevance is linear in what enters, so the maps of all channels add up to the whole map.

Two engines compute the same maps: `direct_engine`, ours, for sequential convolutional networks, which carries
all maps down together (`sparse_descent` on processors, `descent` on other devices), and
`zennit_engine`, which calls zennit-crp and serves as the oracle of the first and for any other network.
`engine` chooses. `baselines` are maps of other kinds, to compare with.
"""
