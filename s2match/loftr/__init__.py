"""The LoFTR network."""
