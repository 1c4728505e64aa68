"""Models: the Open Inference Protocol client, the router, the Ray Serve application, training."""
