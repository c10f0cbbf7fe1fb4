//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// steps are those of every drawing.
const steps = "2"

// measurement is one run of the program.
type measurement struct {
	step   time.Duration // of the fastest step
	decode time.Duration // from the last step to the written file
	peak   int64         // resident memory in bytes
	share  float64       // of all cores' time that it had
}

// measure draws once.
func measure(ctx context.Context, program, dir string, args []string) (m measurement, err error) {
	_, events, state, err := execute(ctx, program, dir, args, "--progress", "json", "--output", filepath.Join(dir, "drawn.png"), "--force")
	if err != nil {
		return m, err
	}
	if m, err = timesOf(events); err != nil {
		return m, err
	}
	m.peak, err = peakOf(state)
	return m, err
}

// execute runs the program with arguments, and then more, in a folder where the model is.
func execute(ctx context.Context, program, dir string, args []string, more ...string) (stdout, stderr []byte, state *os.ProcessState, err error) {
	all := append([]string{args[0], "--model", filepath.Join(dir, "model"), "--steps", steps, "--backend", "cpu", "--seed", "1", "--json"}, more...)
	cmd := exec.CommandContext(ctx, program, append(all, args[1:]...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LDM_MAC_BACKEND=", "LDM_MAC_MODEL=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it removes what it has not finished
	cmd.WaitDelay = 10 * time.Second
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return nil, nil, nil, fmt.Errorf("%q: %w\n%s", cmd.Args, err, log.Bytes())
	}
	return out.Bytes(), log.Bytes(), cmd.ProcessState, nil
}

// event is a line of --progress json.
type event struct {
	Event   string `json:"event"`
	Step    int    `json:"step"`
	Elapsed int64  `json:"elapsed_ms"`
}

// timesOf reads the times of steps and of decoding from a run's progress.
func timesOf(lines []byte) (m measurement, err error) {
	var sampled, decoding int64 = -1, -1
	for decoder := json.NewDecoder(bytes.NewReader(lines)); decoder.More(); {
		var e event
		if err := decoder.Decode(&e); err != nil {
			return m, fmt.Errorf("progress: %w in %q", err, lines)
		}
		switch e.Event {
		case "step":
			if took := time.Duration(e.Elapsed-sampled) * time.Millisecond; e.Step > 0 && (m.step == 0 || took < m.step) {
				m.step = took
			}
			sampled = e.Elapsed
		case "decode":
			decoding = e.Elapsed
		case "image":
			m.decode = time.Duration(e.Elapsed-decoding) * time.Millisecond
		}
	}
	if m.step <= 0 || decoding < 0 || m.decode <= 0 {
		return m, fmt.Errorf("progress without a step, decoding and a picture: %q", lines)
	}
	return m, nil
}

// peakOf is the most memory in bytes that a process had resident.
func peakOf(state *os.ProcessState) (int64, error) {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, errors.New("the system does not tell what memory the program had")
	}
	unit := int64(1 << 10) // Linux counts in kilobytes, as other systems do
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return int64(usage.Maxrss) * unit, nil
}

// estimate is what the program expects its memory to be, in bytes.
func estimate(ctx context.Context, program, dir string, args []string) (int64, error) {
	out, _, _, err := execute(ctx, program, dir, args, "--dry-run")
	if err != nil {
		return 0, err
	}
	var outline struct {
		Peak int64 `json:"peak_bytes"`
	}
	if err := json.Unmarshal(out, &outline); err != nil {
		return 0, err
	}
	return outline.Peak, nil
}
