"""LoFTR, detector-free local feature matching with transformers, for inference on a CPU or one GPU.

Sun et al., "LoFTR: Detector-Free Local Feature Matching with Transformers", CVPR 2021, arXiv 2104.00680. One module per
part of the paper: backbone, linear attention, coarse matching, fine matching. Points inside this package are in the
pixel frame of the weights; :mod:`s2match.loftr.matcher` converts them to the GDAL frame.
"""
