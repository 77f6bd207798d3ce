"""Resampling: area averages along the axes, kernels at any positions, and reprojection between grids."""
