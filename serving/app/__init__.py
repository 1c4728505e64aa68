"""The model server: a Ray Serve application that speaks the Open Inference Protocol v2. The only place that imports ray."""
