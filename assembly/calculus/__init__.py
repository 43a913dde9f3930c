"""What can be asked of an assembly at a point: values, gradients, Hessians, kernels."""
