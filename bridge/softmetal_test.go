//go:build softmetal && linux && cgo

package bridge

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal"
)

// This file tests what only the stand-ins can show: faults at a chosen place, and what was done.

func init() { standIns = func() int { return softmetal.Count().Objects } }

// configure changes the stand-ins' settings for one test.
func configure(t *testing.T, change func(*softmetal.Settings)) {
	t.Helper()
	s := softmetal.Current()
	change(&s)
	former := softmetal.Configure(s)
	t.Cleanup(func() { softmetal.Configure(former) })
}

func inject(t *testing.T, f softmetal.Faults) {
	t.Helper()
	softmetal.Inject(f)
	t.Cleanup(func() { softmetal.Inject(softmetal.Faults{}) })
}

func TestNoDevice(t *testing.T) {
	inject(t, softmetal.Faults{NoDevice: true})
	if _, err := Open(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("the error is %v, want ErrNoDevice", err)
	}
}

// TestAllocationFails refuses each of a run's allocations in turn; what was made before is released.
func TestAllocationFails(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.HeapAlignment = 256 })
	d := open(t)
	live, objects, mem := LiveObjects(), softmetal.Count().Objects, d.Info().Allocated
	allocate := func() (err error) {
		var made []interface{ Close() }
		defer func() {
			for _, m := range made {
				m.Close()
			}
		}()
		b, err := d.NewBuffer(64)
		if err != nil {
			return err
		}
		made = append(made, b)
		h, err := d.NewHeap(512)
		if err != nil {
			return err
		}
		made = append(made, h)
		for i := range 2 {
			b, err := h.NewBuffer(i*256, 64)
			if err != nil {
				return err
			}
			made = append(made, b)
		}
		return nil
	}
	for n := 1; n <= 5; n++ {
		inject(t, softmetal.Faults{Allocation: n})
		err := allocate()
		if n <= 4 && !errors.Is(err, ErrOutOfMemory) {
			t.Errorf("allocation %d fails: the error is %v, want ErrOutOfMemory", n, err)
		}
		if n > 4 && err != nil {
			t.Error(err)
		}
		if LiveObjects() != live || softmetal.Count().Objects != objects || d.Info().Allocated != mem {
			t.Fatalf("allocation %d fails: something is left", n)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.Memory = 1000 })
	d := open(t)
	closer[*Buffer](t)(d.NewBuffer(600))
	if _, err := d.NewBuffer(600); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("600 bytes of 400: %v", err)
	}
}

// TestNoSharing is the virtual device of a CI machine.
func TestNoSharing(t *testing.T) {
	d := open(t)
	inject(t, softmetal.Faults{NoSharing: true})
	mem, err := mapped(os.Getpagesize())
	check(t, err)
	if _, err := d.WrapBuffer(mem); err == nil || !strings.Contains(err.Error(), "does not share memory") {
		t.Errorf("the error is %v", err)
	}
	inject(t, softmetal.Faults{Allocation: 1})
	if _, err := d.WrapBuffer(mem); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("the error is %v, want ErrOutOfMemory", err)
	}
}

func TestNoCompiler(t *testing.T) {
	d := open(t)
	inject(t, softmetal.Faults{NoCompiler: true})
	if _, err := d.NewLibrary(source); err == nil || !strings.Contains(err.Error(), "MTLLibraryErrorDomain 3: ") {
		t.Errorf("the error is %v", err)
	}
	t.Setenv("SOFTMETAL_MSLC", "/nowhere/mslc")
	if _, err := d.NewLibrary(source); err == nil || !strings.Contains(err.Error(), "SOFTMETAL_MSLC") {
		t.Errorf("the error is %v", err)
	}
}

// TestCommandBufferFails lets each command buffer of a list fail in turn: MPSGraph makes three of it.
func TestCommandBufferFails(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.ContinueEvery = 1 })
	d := open(t)
	m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: 1, N: 1, K: 1}))
	a, b, c := filled(t, d, Float32, []float32{3}), filled(t, d, Float32, []float32{5}), filled(t, d, Float32, []float32{0})
	for n := 1; n <= 4; n++ {
		before := softmetal.Count()
		inject(t, softmetal.Faults{CommandBuffer: n, Code: 8})
		list := closer[*Commands](t)(d.Begin("three"))
		check(t, list.MatMul(m, a, b, nil, c))
		check(t, list.MatMul(m, c, b, nil, a))
		check(t, list.Commit())
		for range 2 { // Wait may be called again
			_, err := list.Wait()
			if n <= 3 && (!errors.Is(err, ErrOutOfMemory) || !strings.Contains(err.Error(), "MTLCommandBufferErrorDomain 8: three")) {
				t.Errorf("command buffer %d fails: the error is %v", n, err)
			}
			if n > 3 && err != nil {
				t.Error(err)
			}
		}
		if did := softmetal.Count().Since(before); did.CommandBuffers != 3 {
			t.Errorf("%d command buffers were committed, want 3", did.CommandBuffers)
		}
		store(a, Float32, []float32{3})
	}
}

// TestReplacedCommandBuffer lets MPSGraph commit in the middle of a list: what follows goes to the next
// command buffer.
func TestReplacedCommandBuffer(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.ContinueEvery = 1 })
	d := open(t)
	m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: 1, N: 1, K: 1}))
	a, b, c := filled(t, d, Float32, []float32{3}), filled(t, d, Float32, []float32{5}), filled(t, d, Float32, []float32{0})
	run(t, d, func(list *Commands) error {
		for range 2 {
			if err := list.MatMul(m, a, b, nil, c); err != nil {
				return err
			}
			if err := list.Copy(Binding{Buffer: a}, Binding{Buffer: c}, 4); err != nil {
				return err
			}
		}
		return nil
	})
	if got := numbers(a, Float32)[0]; got != 75 {
		t.Errorf("3 × 5 × 5 is %g", got)
	}
}

// TestSubmitted counts what MPSGraph commits while it encodes. That waits for its event with all that
// follows it in the queue, whoever encoded that.
func TestSubmitted(t *testing.T) {
	for _, eager := range []bool{false, true} {
		configure(t, func(s *softmetal.Settings) { s.ContinueEvery, s.Eager = 1, eager })
		d := open(t)
		e := closer[*Event](t)(d.NewEvent())
		m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: 1, N: 1, K: 1}))
		a, b, c := filled(t, d, Float32, []float32{3}), filled(t, d, Float32, []float32{5}), filled(t, d, Float32, []float32{0})
		list := closer[*Commands](t)(d.Begin("first"))
		check(t, list.WaitFor(e, 1))
		for n := 1; n <= 2; n++ {
			check(t, list.MatMul(m, a, b, nil, c))
			if got := list.Submitted(); got != n {
				t.Errorf("after %d graphs MPSGraph has committed %d command buffers", n, got)
			}
		}
		other := closer[*Commands](t)(d.Begin("second"))
		check(t, other.Copy(Binding{Buffer: a}, Binding{Buffer: c}, 4))
		check(t, other.Commit())
		if got := numbers(a, Float32)[0]; got != 3 {
			t.Errorf("eager %v: commands behind those that wait have copied %g", eager, got)
		}
		view[float32](a)[0] = 4 // in time
		e.Signal(1)
		if ran := numbers(c, Float32)[0] == 20; ran != eager {
			t.Errorf("eager %v: when the event was signalled, what waited for it ran: %v", eager, ran)
		}
		_, err := other.Wait()
		check(t, err)
		if got := numbers(a, Float32)[0]; got != 20 {
			t.Errorf("eager %v: 4 × 5 is %g", eager, got)
		}
	}
}

// TestDeadlock waits for commands that wait for what nobody signals: on a device, forever.
func TestDeadlock(t *testing.T) {
	d := open(t)
	e := closer[*Event](t)(d.NewEvent())
	a, b := filled(t, d, Float32, []float32{1}), filled(t, d, Float32, []float32{0})
	before := softmetal.Count()
	stuck, behind := closer[*Commands](t)(d.Begin("stuck")), closer[*Commands](t)(d.Begin("behind"))
	check(t, stuck.WaitFor(e, 2))
	check(t, stuck.Copy(Binding{Buffer: b}, Binding{Buffer: a}, 4))
	check(t, stuck.Commit())
	check(t, behind.Copy(Binding{Buffer: a}, Binding{Buffer: b}, 4))
	check(t, behind.Commit())
	e.Signal(1)
	_, err := behind.Wait()
	check(t, err)
	want := "stuck: deadlock: it waits for the value 2 of an event that has 1"
	if _, err := stuck.Wait(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want one with %q", err, want)
	}
	if got := numbers(a, Float32)[0]; got != 0 {
		t.Errorf("what waits in vain has run: %g", got)
	}
	if did := softmetal.Count().Since(before); did.Deadlocks != 1 {
		t.Errorf("%d deadlocks, want 1", did.Deadlocks)
	}
	inject(t, softmetal.Faults{NoWaits: true})
	hasty := closer[*Commands](t)(d.Begin("hasty"))
	check(t, hasty.WaitFor(e, 9))
	check(t, hasty.Commit())
	_, err = hasty.Wait()
	check(t, err)
}

func TestNoEvent(t *testing.T) {
	d := open(t)
	inject(t, softmetal.Faults{Event: 1})
	if _, err := d.NewEvent(); err == nil || !strings.Contains(err.Error(), "gives no event") {
		t.Errorf("the error is %v", err)
	}
}

// TestKernelFault reads a faulty kernel's error from the command buffer.
func TestKernelFault(t *testing.T) {
	d := open(t)
	l := closer[*Library](t)(d.NewLibrary(source))
	p := closer[*Pipeline](t)(l.NewPipeline("scale", nil, nil))
	small, big := closer[*Buffer](t)(d.NewBuffer(64)), closer[*Buffer](t)(d.NewBuffer(128))
	for name, bindings := range map[string][]Binding{
		"too small": {{Buffer: big}, {Buffer: small}}, "not bound": {{Buffer: big}}, "nil": {{}, {Buffer: big}},
	} {
		c := closer[*Commands](t)(d.Begin("faulty"))
		args := scaleArgs{1, 32}
		check(t, c.Dispatch(p, bytesOfValue(&args), []Binding{{Buffer: big}, {Buffer: big}}, Size{1, 1, 1}, Size{32, 1, 1}, 0))
		check(t, c.Dispatch(p, bytesOfValue(&args), bindings, Size{1, 1, 1}, Size{32, 1, 1}, 0))
		check(t, c.Commit())
		if _, err := c.Wait(); err == nil || !strings.Contains(err.Error(), "scale") {
			t.Errorf("a buffer that is %s: the error is %v", name, err)
		}
	}
}

// TestLate reads a result before and after it was waited for.
func TestLate(t *testing.T) {
	for _, eager := range []bool{false, true} {
		configure(t, func(s *softmetal.Settings) { s.Eager = eager })
		d := open(t)
		a, b := filled(t, d, Float32, []float32{1}), filled(t, d, Float32, []float32{0})
		c := closer[*Commands](t)(d.Begin("late"))
		check(t, c.Copy(Binding{Buffer: b}, Binding{Buffer: a}, 4))
		check(t, c.Commit())
		if early := numbers(b, Float32)[0] == 1; early != eager {
			t.Errorf("eager %v: before Wait the result is there: %v", eager, early)
		}
		_, err := c.Wait()
		check(t, err)
		if numbers(b, Float32)[0] != 1 {
			t.Error("after Wait the result is not there")
		}
	}
}

// TestHalfSums tells the two ways apart: 2048 + 1 is 2048 in fp16.
func TestHalfSums(t *testing.T) {
	const k = 2064
	ones, want := make([]float32, k), map[bool]float32{false: k, true: 2048}
	for i := range ones {
		ones[i] = 1
	}
	for half, want := range want {
		configure(t, func(s *softmetal.Settings) { s.HalfSums = half })
		d := open(t)
		for _, upcast := range []bool{false, true} {
			m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: 1, N: 1, K: k, A: Float16, B: Float16, Upcast: upcast}))
			c := filled(t, d, Float16, []float32{0})
			run(t, d, func(list *Commands) error {
				return list.MatMul(m, filled(t, d, Float16, ones), filled(t, d, Float16, ones), nil, c)
			})
			if upcast {
				want = k
			}
			if got := numbers(c, Float16)[0]; got != want {
				t.Errorf("sums in fp16 %v, upcast %v: %g, want %g", half, upcast, got, want)
			}
		}
	}
}

// TestManyDispatches runs a kernel, a graph and a copy a thousand times: memory stays flat, and the
// stand-ins did what was encoded.
func TestManyDispatches(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.ContinueEvery = 0 })
	d := open(t)
	l := closer[*Library](t)(d.NewLibrary(source))
	p := closer[*Pipeline](t)(l.NewPipeline("scale", nil, nil))
	m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: 4, N: 4, K: 4}))
	x, y := filled(t, d, Float32, randoms(16, Float32, 1)), filled(t, d, Float32, randoms(16, Float32, 2))
	z := closer[*Buffer](t)(d.NewBuffer(64))
	args := scaleArgs{2, 16}
	step := func() {
		c, err := d.Begin("step")
		check(t, err)
		check(t, c.Dispatch(p, bytesOfValue(&args), []Binding{{Buffer: x}, {Buffer: y}}, Size{1, 1, 1}, Size{32, 1, 1}, 0))
		check(t, c.MatMul(m, x, y, nil, z))
		check(t, c.Copy(Binding{Buffer: y}, Binding{Buffer: z}, 64))
		check(t, c.Commit())
		_, err = c.Wait()
		check(t, err)
		c.Close()
	}
	for range 100 {
		step()
	}
	before, live, memory := softmetal.Count(), LiveObjects(), resident(t)
	for range 1000 {
		step()
	}
	did := softmetal.Count().Since(before)
	want := softmetal.Counts{Launches: 1000, Graphs: 1000, Copies: 1000, Encoders: 2000, CommandBuffers: 1000, Waits: 1000,
		FLOPs: 1000 * 2 * 4 * 4 * 4, Bytes: 1000 * (3*64 + 2*64), Objects: before.Objects}
	if did != want {
		t.Errorf("the stand-ins did %+v, want %+v", did, want)
	}
	if LiveObjects() != live {
		t.Errorf("%d objects are alive, %d were before", LiveObjects(), live)
	}
	if grown := resident(t) - memory; grown > 4<<20 { // the Go heap breathes by a few MiB
		t.Errorf("resident memory grew by %d bytes", grown)
	}
}

// resident is the process's memory in bytes.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	check(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	check(t, err)
	return pages * os.Getpagesize()
}

func TestHeapAlignment(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.HeapAlignment = 16384 })
	d := open(t)
	if got := d.Info().HeapAlignment; got != 16384 {
		t.Errorf("the alignment is %d", got)
	}
	h := closer[*Heap](t)(d.NewHeap(20000))
	if _, err := h.NewBuffer(256, 4); err == nil || !strings.Contains(err.Error(), "16384") {
		t.Errorf("an offset of 256: %v", err)
	}
	closer[*Buffer](t)(h.NewBuffer(16384, 3616))
}
