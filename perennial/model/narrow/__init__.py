"""A bfloat16 twin of an encoder, which computes beside the float32 weights, which learn."""
