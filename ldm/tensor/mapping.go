package tensor

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"
)

// Mapping is memory of whole pages that is not Go's, such as a mapped file, of which weights are
// parts. It is unmapped when all who retained it have released it. It is safe for concurrent use.
type Mapping struct {
	data  []byte
	unmap func() error
	users atomic.Int64
}

// NewMapping is a mapping whose one user is the caller. data begins on a page; what follows its end
// on its last page may be read too. unmap is called once, by the last Release.
func NewMapping(data []byte, unmap func() error) *Mapping {
	m := &Mapping{data: data, unmap: unmap}
	m.users.Store(1)
	return m
}

// Retain adds a user, for whom the mapping stays until a Release more.
func (m *Mapping) Retain() {
	if n := m.users.Add(1); n < 2 {
		panic(fmt.Sprintf("tensor: a mapping of %d users is retained", n-1))
	}
}

// Release ends what NewMapping or Retain began. The last one unmaps, and returns the error of that.
func (m *Mapping) Release() error {
	n := m.users.Add(-1)
	if n < 0 {
		panic("tensor: a mapping without users is released")
	}
	if n > 0 {
		return nil
	}
	m.data = nil
	return m.unmap()
}

// Pages are the whole pages around part, which lies at offset in them; ok is false where part is
// empty or does not lie in the mapping. They are read only, and valid until the mapping is released.
func (m *Mapping) Pages(part []byte) (pages []byte, offset int, ok bool) {
	if len(part) == 0 || len(m.data) == 0 {
		return nil, 0, false
	}
	page := uintptr(os.Getpagesize())
	start, from := unsafe.Pointer(unsafe.SliceData(m.data)), unsafe.Pointer(unsafe.SliceData(part))
	if uintptr(start)%page != 0 || uintptr(from) < uintptr(start) {
		return nil, 0, false
	}
	begin := uintptr(from) - uintptr(start)
	end := begin + uintptr(len(part))
	if end > uintptr(len(m.data)) {
		return nil, 0, false
	}
	first, last := begin/page*page, (end+page-1)/page*page
	return unsafe.Slice((*byte)(unsafe.Add(start, first)), last-first), int(begin - first), true
}
