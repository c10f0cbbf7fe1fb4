package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ldm-mac/metal"
)

func TestTunedStore(t *testing.T) {
	found := tuned{File: filepath.Join(t.TempDir(), "tuning.json")}
	for tile := range 2 { // the second replaces the first
		found.tuning = metal.Tuning{Products: []metal.Rule{{MaxRows: 8}}, SmallTile: tile}
		if err := found.store("device"); err != nil {
			t.Fatal(err)
		}
		got, err := metal.ReadTuning(found.File, "device")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&found.tuning, got); diff != "" {
			t.Error(diff)
		}
	}
	found.File = filepath.Join(found.File, "below a file")
	if status, _ := classify(t.Context(), found.store("device")); status != exitFailed {
		t.Errorf("status %d where nothing can be written, want %d", status, exitFailed)
	}
}

func TestTunedPrint(t *testing.T) {
	problem := metal.Problem{Rows: 128, Columns: 320, Terms: 640}
	convolution := metal.Problem{Rows: 128, Columns: 320, Terms: 2880, Side: 8, Residual: true}
	found := tuned{Measurements: []metal.Measurement{
		{Problem: problem, Graph: 0.001, Kernel: 0.002, Noise: 0.0005},
		{Problem: convolution, Graph: 0.002, Kernel: 0.001, Noise: 0.0005},
		{Problem: convolution, Graph: 0.002, Kernel: 0.001, Noise: 0.001},
	}}
	var out bytes.Buffer
	if err := found.print(&out); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"PROBLEM ROWS COLUMNS TERMS ADDED MPSGRAPH MS KERNEL MS NOISE MS FASTER",
		"product 128 320 640 1.000 2.000 0.500 MPSGraph",
		"convolution 128 320 2880 yes 2.000 1.000 0.500 kernel",
		"convolution 128 320 2880 yes 2.000 1.000 1.000 neither",
		"",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}
