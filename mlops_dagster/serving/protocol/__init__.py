"""Open Inference Protocol v2: requests and answers, as tensors and as a document."""
