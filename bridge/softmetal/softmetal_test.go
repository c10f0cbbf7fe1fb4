//go:build softmetal && linux && cgo

package softmetal

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestEnvironment starts this test anew under other environments.
func TestEnvironment(t *testing.T) {
	if os.Getenv("SHOW") != "" {
		fmt.Printf("<%+v %+v>\n", Current(), Injected())
		return
	}
	for _, c := range []struct {
		env      string
		settings Settings
		faults   Faults
	}{
		{"", Settings{Seed: 1, Checkers: true, HeapAlignment: 256, Memory: 16 << 30}, Faults{}},
		{"SOFTMETAL_SEED=7 SOFTMETAL_CHECK=0 SOFTMETAL_EAGER=1 SOFTMETAL_MPS_ACCUMULATE=f16 SOFTMETAL_MPS_CONTINUE=3 " +
			"SOFTMETAL_HEAP_ALIGNMENT=0x4000 SOFTMETAL_MEMORY=1000 SOFTMETAL_FAULT=no-device",
			Settings{Seed: 7, Eager: true, HalfSums: true, ContinueEvery: 3, HeapAlignment: 16384, Memory: 1000}, Faults{NoDevice: true}},
		{"SOFTMETAL_MPS_ACCUMULATE=f32 SOFTMETAL_FAULT=allocation=5,command-buffer=2,code=8,no-sharing,no-compiler,no-waits,event=3",
			Settings{Seed: 1, Checkers: true, HeapAlignment: 256, Memory: 16 << 30},
			Faults{NoSharing: true, NoCompiler: true, NoWaits: true, Event: 3, Allocation: 5, CommandBuffer: 2, Code: 8}},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironment$")
		cmd.Env = append(strings.Fields(c.env), "SHOW=1")
		out, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("<%+v %+v>\n", c.settings, c.faults); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("under %q: %v, %s\nwant %s", c.env, err, out, want)
		}
	}
}

func TestConfigure(t *testing.T) {
	former := Configure(Settings{Seed: 3, HalfSums: true, ContinueEvery: 2, HeapAlignment: 512, Memory: 5})
	if got, want := Current(), (Settings{Seed: 3, HalfSums: true, ContinueEvery: 2, HeapAlignment: 512, Memory: 5}); got != want {
		t.Errorf("the settings are %+v, want %+v", got, want)
	}
	Configure(former)
	if got := Current(); got != former {
		t.Errorf("the settings are %+v, want %+v", got, former)
	}
	want := Faults{NoDevice: true, NoWaits: true, Event: 4, Allocation: 2, Code: 1}
	Inject(want)
	if got := Injected(); got != want {
		t.Errorf("the faults are %+v, want %+v", got, want)
	}
	Inject(Faults{})
}

func TestSince(t *testing.T) {
	one := Counts{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	two := Counts{2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24}
	if got, want := two.Since(one), (Counts{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 24}); got != want {
		t.Errorf("the difference is %+v, want %+v", got, want)
	}
}
