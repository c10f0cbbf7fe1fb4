//go:build linux || darwin

package tensor_test

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"ldm-mac/ldm/tensor"
)

func TestMapping(t *testing.T) {
	page := os.Getpagesize()
	size := 2*page + 100
	data, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("unmapped")
	m := tensor.NewMapping(data, func() error { return errors.Join(gone, unix.Munmap(data)) })
	for _, c := range []struct{ from, to, pages, offset int }{
		{0, 1, 1, 0}, {100, page, 1, 100}, {page - 1, page + 1, 2, page - 1}, {page + 8, 2 * page, 1, 8},
		{8, size, 3, 8}, {2*page + 40, size, 1, 40},
	} {
		pages, offset, ok := m.Pages(data[c.from:c.to])
		if !ok || len(pages) != c.pages*page || offset != c.offset || &pages[offset] != &data[c.from] {
			t.Errorf("bytes %d to %d lie at %d of %d bytes (%t), want %+v", c.from, c.to, offset, len(pages), ok, c)
			continue
		}
		if uintptr(unsafe.Pointer(&pages[0]))%uintptr(page) != 0 || pages[len(pages)-1] != 0 {
			t.Errorf("the pages around bytes %d to %d are no pages", c.from, c.to)
		}
	}
	for name, part := range map[string][]byte{"nothing": data[5:5], "nil": nil, "other memory": make([]byte, 10)} {
		if _, _, ok := m.Pages(part); ok {
			t.Errorf("%s lies in the mapping", name)
		}
	}
	m.Retain()
	if err := m.Release(); err != nil || data[0] != 0 {
		t.Errorf("a release that is not the last returns %v", err)
	}
	if err := m.Release(); !errors.Is(err, gone) {
		t.Errorf("the last release returns %v, want the error of unmapping", err)
	}
	if _, _, ok := m.Pages(data[:1]); ok {
		t.Error("what is unmapped has pages")
	}
	panics := func(what string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s after the last release is not noticed", what)
			}
		}()
		f()
	}
	panics("a release", func() { _ = m.Release() })
	panics("a retain", m.Retain)
}
