// Package checkpoint reads and writes the files that hold a model's parameters: safetensors,
// PyTorch's zip and legacy pickles, sharded indexes of either, and diffusers folders of them.
//
// The one idea: a checkpoint is a table of named byte ranges. Files are mapped, a weight is a
// slice of the mapping, and nothing is decoded, copied or executed on the way; what a file says
// about itself is believed only after it was checked against the bytes that are there.
//
// Sources: https://github.com/huggingface/safetensors (README, "Format"), PyTorch
// torch/serialization.py and torch/_utils.py, CPython Lib/pickletools.py, diffusers
// src/diffusers/models/modeling_utils.py and pipelines/pipeline_utils.py.
package checkpoint
