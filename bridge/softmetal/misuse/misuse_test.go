//go:build softmetal && linux && cgo

package misuse

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal"
)

// TestMistakes makes every mistake. said is in the answer; source is where Apple's is reported, or the
// document of Apple's that has the rule; where it is empty, the rule is the stand-ins' own.
func TestMistakes(t *testing.T) {
	const reference = "developer.apple.com/documentation/metal/"
	cases := map[string]struct{ said, source string }{
		"long_bytes":              {"smaller than 4 kilobytes", reference + "mtlcomputecommandencoder/setbytes(_:length:index:)"},
		"buffer_index":            {"buffer binding index (31)", "Metal feature set tables: 31 entries in the buffer argument table"},
		"buffer_offset":           {"offset(64)", reference + "mtlcomputecommandencoder/setbuffer(_:offset:index:)"},
		"threadgroup_memory":      {"length(4) must be a multiple of 16 bytes.", "github.com/ggml-org/llama.cpp/pull/3938"},
		"much_threadgroup_memory": {"must be <= 32768", "github.com/madebyollin/maple-diffusion/issues/20"},
		"no_pipeline":             {"pipeline state must be set", ""},
		"many_threads":            {"(kernel threadgroup size limit)", "github.com/libsdl-org/SDL/issues/15241"},
		"no_threadgroups":         {"must not be 0.", "github.com/gfx-rs/wgpu/issues/6714"},
		"two_encoders":            {"already encoding to this command buffer", ""},
		"ended_twice":             {"encoding has ended", ""},
		"used_after_end":          {"encoding has ended", ""},
		"commit_while_encoding":   {"uncommitted encoder", ""},
		"commit_twice":            {"already committed", ""},
		"encode_after_commit":     {"encoding after commit", ""},
		"wait_before_commit":      {"not committed", ""},
		"wait_while_encoding":     {"a wait inside an encoder", reference + "mtlcommandbuffer/encodewaitforevent(_:value:)"},
		"wait_after_commit":       {"encoding after commit", ""},
		"event_backwards":         {"1 is less than the value 2", reference + "mtlsharedevent/signaledvalue"},
		"copy_beyond":             {"beyond the source", ""},
		"copy_odd":                {"multiples of 4", reference + "mtlblitcommandencoder/copy(from:sourceoffset:to:destinationoffset:size:)"},
		"unaligned_memory":        {"not page aligned", reference + "mtldevice/makebuffer(bytesnocopy:length:options:deallocator:)"},
		"partial_page":            {"not page aligned", reference + "mtldevice/makebuffer(bytesnocopy:length:options:deallocator:)"},
		"heap_offset":             {"not aligned", reference + "mtlheap/makebuffer(length:options:offset:)"},
		"beyond_heap":             {"beyond the heap", ""},
		"untracked_heap":          {"not placed, shared and tracked", ""},
		"many_elements":           {"product of dimension sizes > 2**31", "github.com/pytorch/pytorch/issues/84039"},
		"mixed_types":             {"'tensor<8x128xf32>' and 'tensor<128xf16>' are not broadcast compatible", "github.com/pytorch/executorch/issues/7904"},
		"unequal_bias":            {"not broadcast compatible", "github.com/pytorch/executorch/issues/7904"},
		"inner_sizes":             {"incompatible dimensions", "github.com/huggingface/trl/issues/4692"},
		"batch_sizes":             {"incompatible dimensions", "github.com/huggingface/trl/issues/4692"},
		"product_rank":            {"matmul of ranks 1 and 1", ""},
		"product_types":           {"not broadcast compatible", "github.com/pytorch/executorch/issues/7904"},
		"long_side":               {"above 32768", "github.com/pytorch/pytorch/pull/117549"},
		"many_channels":           {"Output channels > 65536", "github.com/pytorch/pytorch/issues/129207"},
		"input_channels":          {"3 input channels, weights for 4", ""},
		"large_kernel":            {"larger than the padded source", ""},
		"convolution_rank":        {"conv2d of ranks 3 and 4", ""},
		"transpose_axis":          {"transpose of axes 0 and 2", ""},
		"other_graph":             {"another graph", ""},
		"small_buffer":            {"buffer is not large enough. Must be 1024 bytes", "github.com/pytorch/pytorch/issues/77851"},
		"no_feed":                 {"not fed", ""},
		"order_of_creation":       {"input 0 has another shape", "github.com/liuliu/ccv lib/nnc/mps/ccv_nnc_mps.m: feedTensors are searched for each input"},
		"type_of_input":           {"another shape or type", ""},
		"shape_of_result":         {"result has another shape", ""},
		"result_in_operand":       {"shares memory with the result", ""},
		"graph_while_encoding":    {"already encoding to this command buffer", ""},
	}
	deadly := map[string]string{"release_twice": "release was sent to an object that is gone", "write_beyond": "byte 60 of a buffer of 60"}
	for name, said := range deadly {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDeadly$")
		cmd.Env = append(os.Environ(), "MISTAKE="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), said) {
			t.Errorf("%s: the process ended with %v, want it to say %q:\n%s", name, err, said, out)
		}
	}
	for name, c := range cases {
		if got := commit(name); !strings.Contains(got, c.said) {
			t.Errorf("%s: the answer is %q, want %q (%s)", name, got, c.said, c.source)
		}
	}
	for _, name := range mistakes() {
		_, survives := cases[name]
		if _, dies := deadly[name]; !survives && !dies {
			t.Errorf("mistake %s is not tested", name)
		}
	}
	for name := range cases {
		if !slices.Contains(mistakes(), name) {
			t.Errorf("there is no mistake %s", name)
		}
	}
	if n := softmetal.Count().Objects; n != 0 {
		t.Errorf("%d objects are alive", n)
	}
}

// TestDeadly is run in a process of its own.
func TestDeadly(*testing.T) {
	if name := os.Getenv("MISTAKE"); name != "" {
		commit(name)
	}
}
