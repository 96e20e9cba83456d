"""Truth: how well relevance maps point at what is really there.

Where the stems of a mix are known, `stems` says which cell of the spectrogram is whose, `scores` holds a map
against that, and `shapley` measures what each stem really does to the logit. Without stems, `faithfulness`
deletes what a map says matters, and `stability` asks whether maps change when they should and only then.
"""
