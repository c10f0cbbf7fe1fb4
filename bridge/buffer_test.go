//go:build (darwin || softmetal) && cgo

package bridge

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInfo(t *testing.T) {
	d := open(t)
	i := d.Info()
	if i.Name == "" || i.Architecture == "" || i.MaxBuffer <= 0 || i.WorkingSet <= 0 || i.ThreadgroupMemory < 32768 ||
		i.HeapAlignment <= 0 || i.HeapAlignment&(i.HeapAlignment-1) != 0 {
		t.Errorf("the device says %+v", i)
	}
	b := closer[*Buffer](t)(d.NewBuffer(1 << 20))
	if grown := d.Info().Allocated - i.Allocated; grown < b.Len() {
		t.Errorf("1 MiB more takes %d bytes", grown)
	}
}

func TestBuffer(t *testing.T) {
	d := open(t)
	b := closer[*Buffer](t)(d.NewBuffer(1001))
	if b.Len() != 1001 || !bytes.Equal(b.Bytes(), make([]byte, 1001)) {
		t.Errorf("a new buffer has %d bytes, not 1001 zeros", b.Len())
	}
	b.Close()
	if b.Len() != 0 || b.Bytes() != nil {
		t.Error("a closed buffer has memory")
	}
	b.Close()
}

func TestWrapBuffer(t *testing.T) {
	d := open(t)
	page := os.Getpagesize()
	mem, err := mapped(3 * page)
	check(t, err)
	from, err := d.WrapBuffer(mem[page : 3*page])
	check(t, err)
	defer from.Close()
	copy(mem[page:], "shared")
	to := closer[*Buffer](t)(d.NewBuffer(8))
	run(t, d, func(c *Commands) error { return c.Copy(Binding{Buffer: to}, Binding{Buffer: from}, 8) })
	if string(to.Bytes()) != "shared\x00\x00" {
		t.Errorf("the device read %q", to.Bytes())
	}
	for name, part := range map[string][]byte{"begin": mem[16:page], "end": mem[:page-16]} {
		if _, err := d.WrapBuffer(part); err == nil || !strings.Contains(err.Error(), "page") {
			t.Errorf("memory that does not %s on a page: %v", name, err)
		}
	}
	if _, err := d.WrapBuffer(nil); err == nil {
		t.Error("no memory was wrapped")
	}
}

// mapped is memory that is not Go's; it stays until the process ends.
func mapped(length int) ([]byte, error) {
	return unix.Mmap(-1, 0, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func TestHeap(t *testing.T) {
	d := open(t)
	align := d.Info().HeapAlignment
	h := closer[*Heap](t)(d.NewHeap(3 * align))
	a := closer[*Buffer](t)(h.NewBuffer(align, 2*align))
	b := closer[*Buffer](t)(h.NewBuffer(2*align, align))
	copy(b.Bytes(), "aliased")
	if got := string(a.Bytes()[align : align+7]); got != "aliased" {
		t.Errorf("memory in common holds %q", got)
	}
	for name, place := range map[string][2]int{
		"unaligned": {align / 2, 4}, "beyond the end": {3 * align, 4}, "too long": {align, 2*align + 1}, "negative": {-align, 4}, "empty": {0, 0},
	} {
		if _, err := h.NewBuffer(place[0], place[1]); err == nil {
			t.Errorf("a buffer that is %s was placed", name)
		}
	}
	h.Close()
	h.Close()
	if _, err := h.NewBuffer(0, 4); err == nil {
		t.Error("a closed heap gave a buffer")
	}
	copy(b.Bytes(), "alive") // the heap's memory is kept by its buffers
}

func TestOutOfMemory(t *testing.T) {
	d := open(t)
	if _, err := d.NewBuffer(1 << 50); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("a petabyte: %v", err)
	}
	if _, err := d.NewHeap(1 << 50); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("a heap of a petabyte: %v", err)
	}
	for _, length := range []int{0, -1} {
		if _, err := d.NewBuffer(length); err == nil {
			t.Errorf("a buffer of %d bytes", length)
		}
	}
}

func TestCopy(t *testing.T) {
	d := open(t)
	a, b := closer[*Buffer](t)(d.NewBuffer(16)), closer[*Buffer](t)(d.NewBuffer(16))
	copy(a.Bytes(), "0123456789abcdef")
	run(t, d, func(c *Commands) error { return c.Copy(Binding{b, 8}, Binding{a, 4}, 8) })
	if want := "\x00\x00\x00\x00\x00\x00\x00\x00456789ab"; string(b.Bytes()) != want {
		t.Errorf("copied %q, want %q", b.Bytes(), want)
	}
}

// TestClosed uses everything after it was closed; each use is an error, and a second Close is none.
func TestClosed(t *testing.T) {
	d := open(t)
	b := closer[*Buffer](t)(d.NewBuffer(64))
	gone := closer[*Buffer](t)(d.NewBuffer(64))
	gone.Close()
	m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: 1, N: 1, K: 1}))
	c := closer[*Commands](t)(d.Begin("open"))
	notCommitted := func() error { _, err := c.Wait(); return err }()
	committed := closer[*Commands](t)(d.Begin("committed"))
	check(t, committed.Commit())
	closedCommands := closer[*Commands](t)(d.Begin("closed"))
	closedCommands.Close()
	closedMatMul, err := d.NewMatMul(m.Desc())
	check(t, err)
	closedMatMul.Close()
	second := open(t)
	archive := closer[*Archive](t)(second.OpenArchive(t.TempDir() + "/a"))
	archive.Close()
	second.Close()
	second.Close()
	for name, err := range map[string]error{
		"wait without commit":  notCommitted,
		"commit twice":         committed.Commit(),
		"copy after commit":    committed.Copy(Binding{b, 0}, Binding{b, 32}, 4),
		"graph after commit":   committed.MatMul(m, b, b, nil, b),
		"copy of closed":       c.Copy(Binding{b, 0}, Binding{gone, 0}, 4),
		"copy to nothing":      c.Copy(Binding{}, Binding{b, 0}, 4),
		"copy of nothing":      c.Copy(Binding{b, 0}, Binding{b, 32}, 0),
		"copy of odd size":     c.Copy(Binding{b, 0}, Binding{b, 32}, 3),
		"copy at odd offset":   c.Copy(Binding{b, 2}, Binding{b, 32}, 4),
		"copy beyond the end":  c.Copy(Binding{b, 32}, Binding{b, 0}, 36),
		"product of closed":    c.MatMul(m, gone, b, nil, b),
		"product to closed":    c.MatMul(m, b, b, nil, gone),
		"bias to none":         c.MatMul(m, b, b, b, b),
		"closed product":       c.MatMul(closedMatMul, b, b, nil, b),
		"closed convolution":   c.Conv2D(&Conv2D{}, b, b, nil, b),
		"closed: copy":         closedCommands.Copy(Binding{b, 0}, Binding{b, 32}, 4),
		"closed: commit":       closedCommands.Commit(),
		"closed: graph":        closedCommands.MatMul(m, b, b, nil, b),
		"closed: wait":         func() error { _, err := closedCommands.Wait(); return err }(),
		"closed: save":         archive.Save(),
		"closed device: begin": func() error { _, err := second.Begin(""); return err }(),
		"closed device: new":   func() error { _, err := second.NewBuffer(1); return err }(),
		"closed device: heap":  func() error { _, err := second.NewHeap(1); return err }(),
		"closed device: wrap":  func() error { _, err := second.WrapBuffer(make([]byte, 1)); return err }(),
		"closed device: text":  func() error { _, err := second.NewLibrary(""); return err }(),
		"closed device: file":  func() error { _, err := second.OpenArchive(""); return err }(),
		"closed device: a × b": func() error { _, err := second.NewMatMul(MatMulDesc{}); return err }(),
		"closed device: conv":  func() error { _, err := second.NewConv2D(Conv2DDesc{}); return err }(),
		"closed library":       func() error { _, err := (&Library{}).NewPipeline("", nil, nil); return err }(),
	} {
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if second.Info() != (Info{}) {
		t.Error("a closed device describes itself")
	}
}

func TestEmptyCommands(t *testing.T) {
	d := open(t)
	run(t, d, func(*Commands) error { return nil })
	c := closer[*Commands](t)(d.Begin("dropped"))
	b := closer[*Buffer](t)(d.NewBuffer(16))
	check(t, c.Copy(Binding{b, 0}, Binding{b, 8}, 4))
	c.Close() // not committed
	c.Close()
	c = closer[*Commands](t)(d.Begin("not waited for"))
	check(t, c.Commit())
	c.Close()
}
