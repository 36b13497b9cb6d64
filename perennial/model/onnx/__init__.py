"""An encoder as an ONNX graph: exported by torch, proven equal to it, run without it."""
